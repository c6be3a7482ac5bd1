"use strict";
// Two pictures beside or on each other: what the pages of audits, dedup and review show of a pair
const Viewer = (function () {
  const $ = id => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const SIDES = ["query", "reference"];
  const number = value => value.toLocaleString("en");
  const named = text => text.trim().replace(/\s+/g, " "); // a person, as lines have the name
  const made = (name, properties, ...children) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  };
  const shape = (name, attributes, ...children) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const boxed = (box, [w, h]) => box && $("v-boxes").checked ? [shape("rect", { x: box[0] * w, y: box[1] * h, width: (box[2] - box[0]) * w, height: (box[3] - box[1]) * h })] : [];
  const canvas = ([w, h], label, ...children) => shape("svg", { viewBox: "0 0 " + w + " " + h, "data-size": w + " " + h, role: "img", "aria-label": label }, ...children);
  const shotOf = (href, [width, height], more) => shape("image", { href, width, height, ...more });
  async function sizes(pair) {
    return Promise.all(SIDES.map(async side => {
      const image = made("img", { src: pair[side] || "" });
      try { await image.decode(); } catch { return null; }
      return [image.naturalWidth, image.naturalHeight];
    }));
  }
  function laid(m, query, reference) {
    const [q, r] = [Math.max(...query), Math.max(...reference)];
    const numbers = m ? [m[0] * r / q, m[3] * r / q, m[1] * r / q, m[4] * r / q, m[2] * r, m[5] * r] : [reference[0] / query[0], 0, 0, reference[1] / query[1], 0, 0];
    return "matrix(" + numbers.join(" ") + ")";
  }
  function stage(pair, query, reference) {
    const mode = $("v-mode").value, both = query && reference, [one, other] = pair.roles;
    $("stage").className = mode === "pair" || !both ? "pair" : "";
    $("v-slider").hidden = mode !== "slider" || !both;
    if (mode === "pair" || !both) {
      $("v-how").textContent = "";
      return SIDES.map((side, i) => {
        const size = [query, reference][i];
        return size ? canvas(size, pair.labels[i], shotOf(pair[side], size, {}), ...boxed(pair[side + "_box"], size)) : pair.absent(side);
      });
    }
    $("v-how").textContent = (pair.matrix ? "The " + one + " is laid on the " + other + " as the " + (pair.run || "run") + " aligned them" : "No alignment is stored: the " + one + " is stretched over the " + other) +
      { slider: ": left of the edge the " + other + ", right of it the " + one + ".", flicker: ", in turns.", difference: ": black where both are the same." }[mode];
    const over = shotOf(pair.query, query, { transform: laid(pair.matrix, query, reference) });
    const [w, h] = reference, edge = mode === "slider" ? w * $("v-slider").value / 1000 : 0;
    const layer = shape("svg", { x: edge, y: 0, width: w - edge, height: h, viewBox: [edge, 0, w - edge, h].join(" "), class: mode }, over);
    const line = mode === "slider" ? [shape("rect", { x: edge, y: 0, width: 0.01, height: h })] : [];
    return [canvas(reference, one + " laid on the " + other + ": " + mode, shotOf(pair.reference, reference, {}), layer, ...line, ...boxed(pair.reference_box, reference))];
  }
  // Enlarged about a place that both pictures have in common, as shares of their width and height
  const place = { x: 0.5, y: 0.5 };
  function zoomed() {
    const times = Number($("v-zoom").value), half = 0.5 / times;
    $("stage").classList.toggle("zoomed", times > 1);
    for (const axis of ["x", "y"]) place[axis] = Math.min(Math.max(place[axis], half), 1 - half);
    for (const drawing of $("stage").querySelectorAll(":scope > svg")) {
      const [w, h] = drawing.dataset.size.split(" ").map(Number);
      drawing.setAttribute("viewBox", [(place.x - half) * w, (place.y - half) * h, w / times, h / times].join(" "));
    }
  }
  function moved(x, y) {
    const times = Number($("v-zoom").value);
    place.x += x / times;
    place.y += y / times;
    zoomed();
  }
  $("stage").addEventListener("pointermove", event => {
    const drawing = event.target.closest("#stage > svg");
    if (event.buttons !== 1 || !drawing || Number($("v-zoom").value) === 1) return;
    moved(-event.movementX / drawing.clientWidth, -event.movementY / drawing.clientHeight);
  });
  $("stage").addEventListener("keydown", event => {
    const by = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
    if (!by || Number($("v-zoom").value) === 1) return;
    event.preventDefault();
    moved(...by);
  });
  // pair: query, reference (addresses), labels, roles, matrix, query_box, reference_box, absent(side); current(): it is still wanted
  async function draw(pair, current) {
    const [query, reference] = await sizes(pair);
    if (!current()) return;
    $("stage").replaceChildren(...stage(pair, query, reference));
    zoomed();
  }
  return { made, number, named, draw };
})();
