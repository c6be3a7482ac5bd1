"use strict";
(function () {
  const $ = id => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const cards = [...document.querySelectorAll(".one")];
  const KEY = "memaudit labels of " + data.filter;
  const SAID = { y: "1", n: "0", u: "unsure" };
  let said = {}, here = 0, kept = true; // kept: the storage has all answers

  // Before each answer anew: the page may lie open in several tabs
  function stored() {
    try {
      const there = localStorage.getItem(KEY);
      if (there) said = { ...JSON.parse(there), ...(kept ? {} : said) };
    } catch { /* keep() says that nothing is kept */ }
  }
  function keep() {
    kept = false;
    try {
      localStorage.setItem(KEY, JSON.stringify(said));
      kept = true;
    } catch { $("note").textContent = "This browser keeps nothing for this page: save before you close it."; }
  }
  function show(number) {
    const label = said[data.ids[number]], card = cards[number];
    if (label === undefined) delete card.dataset.label;
    else card.dataset.label = label;
    for (const button of card.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.say === label));
  }
  function count() {
    const done = data.ids.filter(id => said[id] !== undefined).length;
    $("count").textContent = done.toLocaleString("en") + " of " + data.ids.length.toLocaleString("en") + " have an answer";
  }
  function go(number, focus = true) {
    cards[here].classList.remove("here");
    here = Math.max(0, Math.min(cards.length - 1, number));
    cards[here].classList.add("here");
    if (focus) cards[here].focus({ preventScroll: true });
    cards[here].scrollIntoView({ block: "nearest" });
  }
  function all() {
    stored();
    cards.forEach((_, number) => show(number));
    count();
  }
  function say(number, label) {
    stored();
    if (label === undefined) delete said[data.ids[number]];
    else said[data.ids[number]] = label;
    keep();
    show(number);
    count();
  }
  const columns = () => cards.filter(card => card.offsetTop === cards[0].offsetTop).length;

  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase(), moves = { arrowright: 1, arrowleft: -1, arrowdown: columns(), arrowup: -columns() };
    if (key in SAID) { say(here, SAID[key]); go(here + 1); }
    else if (key === "backspace") say(here, undefined);
    else if (key in moves) go(here + moves[key]);
    else return;
    event.preventDefault();
  });
  cards.forEach((card, number) => {
    card.addEventListener("focusin", () => go(number, false));
    for (const button of card.querySelectorAll("button")) {
      button.addEventListener("click", () => say(number, said[data.ids[number]] === button.dataset.say ? undefined : button.dataset.say));
    }
  });
  $("next").addEventListener("click", () => {
    const open = [...cards.keys()].filter(number => said[data.ids[number]] === undefined);
    go(open.find(number => number > here) ?? open[0] ?? here);
  });
  const cell = text => /^\s|\s$|[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  $("save").addEventListener("click", () => {
    const lines = data.ids.filter(id => said[id] !== undefined).map(id => cell(id) + "," + said[id]);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["image_id,label\n" + lines.join("\n") + "\n"], { type: "text/csv" }));
    link.download = "labels.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    $("note").textContent = lines.length.toLocaleString("en") + " answers saved";
  });
  window.addEventListener("storage", event => { if (event.key === KEY) all(); });
  all();
  cards[0].classList.add("here");
})();
