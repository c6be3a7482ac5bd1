"use strict";
(function () {
  const $ = id => document.getElementById(id);
  const steps = JSON.parse($("groups-data").textContent);
  const families = [...document.querySelectorAll(".family")];
  const texts = families.map(family => family.textContent.toLowerCase());
  const number = value => value.toLocaleString("en");

  function filter() {
    const text = $("g-text").value.trim().toLowerCase(), most = Number($("g-most").value || 1), size = Number($("g-size").value || 0);
    families.forEach((family, i) => {
      family.hidden = !(texts[i].includes(text) && family.dataset.least <= most && family.dataset.size >= size);
    });
    $("g-shown").textContent = number(families.filter(family => !family.hidden).length) + " of " + number(families.length) + " groups shown";
  }
  function what() {
    const [threshold, pairs, images, groups] = steps[$("g-threshold").value];
    $("g-at").textContent = threshold.toFixed(3);
    $("g-said").textContent = number(pairs) + " pairs of at least that similarity link " + number(images) + " images into " + number(groups) + " groups" +
      (threshold === steps[0][0] ? ": this run’s own threshold, without what pixels decide." : "; at this run’s own threshold " + number(steps[0][2]) + " images in " + number(steps[0][3]) + ". What is dimmed below would stay.");
    for (const figure of document.querySelectorAll(".family figure")) figure.classList.toggle("out", figure.dataset.similarity < threshold);
  }
  for (const name of ["g-text", "g-most", "g-size"]) $(name).addEventListener("input", filter);
  $("g-filters").hidden = false;
  filter();
  if (!$("g-threshold")) return;
  $("g-threshold").addEventListener("input", what);
  $("g-what").hidden = false;
  what();
})();
