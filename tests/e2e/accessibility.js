// Run in a page by accessibility.py. Colours are painted on one pixel to know them as red, green, blue and opacity.

const canvas = document.createElement("canvas");
canvas.width = canvas.height = 1;
const context = canvas.getContext("2d", { willReadFrequently: true });

function rgba(colour) {
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
}

const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];

const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);

function ratio(one, other) {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

function painted(element) {
  const box = element.closest("svg g.node")?.querySelector("rect:not(.behind, .share)");
  return box ? getComputedStyle(box).fill : getComputedStyle(element).backgroundColor;
}

/** The colour behind an element: what its ancestors paint, one over the other, on the page. */
function behind(element) {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    layers.push(rgba(painted(at)));
    if (layers.at(-1)[3] === 1) break;
  }
  return layers.reverse().reduce((ground, layer) => over(layer, ground), [255, 255, 255, 1]);
}

function describe(element) {
  const kind = `${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""}`;
  return `${kind} "${element.textContent.trim().slice(0, 30)}"`;
}

/** The colour of an element's text, as opaque as it and its ancestors are. */
function ink(element) {
  const style = getComputedStyle(element);
  const [r, g, b, a] = rgba(element.closest("svg") ? style.fill : style.color);
  let opacity = a;
  for (let at = element; at; at = at.parentElement) opacity *= getComputedStyle(at).opacity;
  return [r, g, b, opacity];
}

const UNMEASURED = ".hidden, .skip, option, title, noscript, :disabled, .level"; // .level stands on drawn water

function contrastFaults() {
  const faults = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
    if (element.closest(UNMEASURED)) continue;
    const { fontSize, fontWeight } = getComputedStyle(element);
    const large = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && fontWeight >= 700);
    const ground = behind(element), found = ratio(over(ink(element), ground), ground);
    texts += 1;
    if (found < (large ? 3 : 4.5)) faults.add(`${describe(element)}: contrast ${found.toFixed(2)}`);
  }
  if (!texts) faults.add("there is no text at all");
  for (const field of document.querySelectorAll("input, select, textarea")) {
    if (!field.checkVisibility() || field.matches(":disabled, [type=checkbox], .jump input")) continue;
    const ground = behind(field.parentElement);
    const found = ratio(over(rgba(getComputedStyle(field).borderTopColor), ground), ground);
    if (found < 3) faults.add(`${describe(field)} ${field.type}: border ${found.toFixed(2)}`);
  }
  return [...faults];
}

/** Note from now on what gets the focus, and how it is seen. */
function watchFocus() {
  window.reached = new Map();
  document.addEventListener("focusin", ({ target }) => {
    const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(target);
    const faint = ratio(rgba(outlineColor), behind(target.parentElement)) < 3;
    const seen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && !faint;
    const box = target.getBoundingClientRect();
    const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    window.reached.set(target, { text: describe(target), seen, inside });
  });
  document.activeElement?.blur();
}

function focusFaults() {
  const interactive = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const wanted = [...document.querySelectorAll(interactive)].filter((each) =>
    each.checkVisibility() && !each.disabled && each.tabIndex >= 0 && !each.closest(".skip"));
  const missed = wanted.filter((each) => !window.reached.has(each));
  const faults = missed.map((each) => `not reached: ${each.outerHTML.slice(0, 90)}`);
  for (const { text, seen, inside } of window.reached.values()) {
    if (!seen) faults.push(`focus is not seen: ${text}`);
    if (!inside) faults.push(`focus is out of sight: ${text}`);
  }
  return faults;
}

function nameOf(element) {
  const given = element.getAttribute("aria-label") ?? element.getAttribute("aria-labelledby");
  const label = (element.labels?.[0] ?? element.closest("label"))?.textContent;
  return (given ?? label ?? (element.matches("input, select, textarea") ? "" : element.textContent)).trim();
}

function nameFaults() {
  const named = "a[href], button, input, select, textarea, summary, [role=img], dialog, nav";
  const faults = [...document.querySelectorAll(named)].filter((each) => each.checkVisibility() && !nameOf(each))
    .map((each) => `nameless: ${each.outerHTML.slice(0, 90)}`);
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  if (!document.querySelector("main")) faults.push("no main");
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  const twice = new Set(ids.filter((id, index) => ids.indexOf(id) !== index));
  return [...faults, ...[...twice].map((id) => `${id} is the id of several`)];
}
