// A value that parts can watch.

import { useEffect, useState } from "./ui.js";

export function createStore(value) {
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      value = typeof next === "function" ? next(value) : next;
      for (const watcher of [...watchers]) watcher(value);
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    /** The value, for a component; it is drawn again when the value changes. */
    use() {
      const [, redraw] = useState(0);
      const drawn = value;
      useEffect(() => {
        const again = () => redraw((n) => n + 1);
        if (value !== drawn) again(); // it changed before this component could watch
        return this.watch(again);
      }, []);
      return value;
    },
  };
}
