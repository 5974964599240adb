// Lists by keyboard: j k move, Enter opens (the focused link does that itself), x picks,
// / searches, ? explains. Single keys can be switched off (WCAG 2.1, 2.1.4) in the help.
"use strict";
(() => {
  const help = document.getElementById("keys-help");
  const toggle = document.querySelector("[data-keys-on]");
  const remember = "zt-keys";

  const isOn = () => {
    try { return localStorage.getItem(remember) !== "off"; } catch { return true; }
  };
  if (toggle) {
    toggle.checked = isOn();
    toggle.addEventListener("change", () => {
      try { localStorage.setItem(remember, toggle.checked ? "on" : "off"); } catch { /* this page only */ }
    });
  }

  const rows = () => [...document.querySelectorAll("[data-list] [data-row]")];
  const current = () => document.activeElement.closest("[data-row]");

  function move(step) {
    const all = rows();
    if (!all.length) return;
    const here = all.indexOf(current());
    const next = here < 0 ? (step > 0 ? 0 : all.length - 1) : here + step;
    const row = all[Math.min(Math.max(next, 0), all.length - 1)];
    row.querySelector("[data-open]").focus();
    row.scrollIntoView({ block: "nearest" });
  }

  function pick() {
    const box = current()?.querySelector("input[type=checkbox]");
    if (box) box.click();
  }

  function count(list) {
    const boxes = [...list.querySelectorAll("[data-row] input[type=checkbox]")];
    const picked = boxes.filter((box) => box.checked);
    for (const box of boxes) box.closest("[data-row]").classList.toggle("picked", box.checked);
    const all = list.querySelector("[data-pick-all]");
    if (all) {
      all.checked = boxes.length > 0 && picked.length === boxes.length;
      all.indeterminate = picked.length > 0 && picked.length < boxes.length;
    }
    const bulk = document.querySelector("[data-bulk]");
    if (!bulk) return;
    bulk.hidden = picked.length === 0;
    bulk.querySelector("[data-picked]").textContent = picked.length;
  }

  const writing = (element) => element.closest("input:not([type=checkbox],[type=radio]),textarea,select,[contenteditable]");
  const actions = {
    j: () => move(1),
    k: () => move(-1),
    x: pick,
    "/": () => {
      // On a narrow screen the search box in the bar is hidden: the one in the menu serves.
      const box = document.querySelector("[data-search]");
      if (box?.offsetParent) box.focus();
      else location.hash = "nav";
    },
    "?": () => help?.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (writing(event.target) || document.querySelector("dialog[open]") || !isOn()) return;
    const act = actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-keys-help]")) help?.showModal();
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("change", (event) => {
    const list = event.target.closest("[data-list]");
    if (!list) return;
    if (event.target.matches("[data-pick-all]")) {
      for (const box of list.querySelectorAll("[data-row] input[type=checkbox]")) box.checked = event.target.checked;
    }
    count(list);
  });
  // A list refreshed by htmx, or restored by the back button, may arrive with boxes ticked.
  const recount = () => document.querySelectorAll("[data-list]").forEach(count);
  document.addEventListener("htmx:afterSettle", recount);
  window.addEventListener("pageshow", recount);
})();
