"use strict";
(function () {
  const $ = id => document.getElementById(id);
  const { steps, report } = JSON.parse($("groups-data").textContent);
  const families = [...document.querySelectorAll(".family")];
  const texts = families.map(family => family.textContent.toLowerCase());
  const { made, number } = Viewer;

  // Pairs that can be marked: each removed picture with the one that is kept, and those about the cut
  const all = [...document.querySelectorAll("[data-one]")].filter(place => place.dataset.one && place.dataset.other).map(place => {
    const figures = place.matches("figure") ? [place, place.closest(".family").querySelector(".first")] : [...place.querySelectorAll("figure")].reverse();
    const named = figures.map(figure => (figure.querySelector("figcaption span") || figure.querySelector("figcaption")).textContent);
    return { place, figures, named, query_sha256: place.dataset.other, reference_sha256: place.dataset.one, face: false, decided: "" };
  });
  const roles = card => card.place.matches("figure") ? ["removed image", "kept image"] : ["one image", "other"];
  const source = figure => { const image = figure.querySelector("img"); return image ? image.getAttribute("src") : ""; };
  const chosen = () => all.filter(card => !card.place.closest("[hidden]"));
  function here(i, enlarged) {
    all.forEach(card => card.place.classList.toggle("here", card === chosen()[i]));
    if (enlarged) return;
    chosen()[i].place.querySelector("button").focus({ preventScroll: true });
    chosen()[i].place.scrollIntoView({ block: "nearest" });
  }
  function marked() {
    for (const card of all) Pairs.put(card, card.place.querySelector(".said"), card.place.querySelector(".marks"));
  }
  Pairs.begin({
    key: report, all, chosen, here, changed: marked,
    title: card => "similarity " + Number(card.place.dataset.similarity).toFixed(3),
    about: card => roles(card).map((role, i) => role + " " + card.named[i]).join(" · "),
    pair: card => ({
      query: source(card.figures[0]), reference: source(card.figures[1]), roles: roles(card), labels: roles(card).map((role, i) => role + " " + card.named[i]),
      absent: side => made("span", { textContent: card.figures[side === "query" ? 0 : 1].querySelector(".frame").textContent || "picture not available" })
    })
  });
  for (const card of all) {
    for (const button of card.place.querySelectorAll("button.frame")) button.addEventListener("click", () => Pairs.look(chosen().indexOf(card)));
    if (card.place.querySelector(".marks")) card.place.querySelector(".marks").hidden = false;
  }
  $("how").hidden = false;
  Pairs.renew();

  function filter() {
    const text = $("g-text").value.trim().toLowerCase(), most = Number($("g-most").value || 1), size = Number($("g-size").value || 0);
    families.forEach((family, i) => {
      family.hidden = !(texts[i].includes(text) && family.dataset.least <= most && family.dataset.size >= size);
    });
    Pairs.reset();
    $("g-shown").textContent = number(families.filter(family => !family.hidden).length) + " of " + number(families.length) + " groups shown";
  }
  function what() {
    const [threshold, pairs, images, groups] = steps[$("g-threshold").value];
    $("g-at").textContent = threshold.toFixed(3);
    $("g-said").textContent = number(pairs) + " pairs of at least that similarity link " + number(images) + " images into " + number(groups) + " groups" +
      (threshold === steps[0][0] ? ": this run’s own threshold, without what pixels decide." : "; at this run’s own threshold " + number(steps[0][2]) + " images in " + number(steps[0][3]) + ". What is dimmed below would stay.");
    for (const figure of document.querySelectorAll(".family figure")) figure.classList.toggle("out", figure.dataset.similarity < threshold);
  }
  if (families.length) {
    for (const name of ["g-text", "g-most", "g-size"]) $(name).addEventListener("input", filter);
    $("g-filters").hidden = false;
    filter();
  }
  if (!$("g-threshold")) return;
  $("g-threshold").addEventListener("input", what);
  $("g-what").hidden = false;
  what();
})();
