// What every part is written with: Preact's elements as tagged templates, and its hooks.
// Text is always a text node: nothing here, or in any part, ever makes markup of a string.

import { h, render, Fragment } from "../vendor/preact.mjs";
import htm from "../vendor/htm.mjs";

export { h, render, Fragment };
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.mjs";

export const html = htm.bind(h);
