// The reader's looks: theme (light, dark, contrast) and reading size, kept on this machine only;
// without a choice the system's wish decides. Runs in <head> before the first paint, so that a
// chosen look never flashes another one. Without script the page is light.
"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const contrast = matchMedia("(prefers-contrast: more)");
  const system = {
    theme: () => (contrast.matches ? "contrast" : dark.matches ? "dark" : "light"),
    reading: () => "normal",
  };

  const stored = (name) => {
    try { return localStorage.getItem("zt-" + name); } catch { return null; }
  };
  const keep = (name, value) => {
    // Storage refused by the browser: the choice lasts for this page.
    try { localStorage.setItem("zt-" + name, value); } catch { /* nothing to do */ }
  };
  const show = (name, value) => {
    root.dataset[name] = value;
    for (const button of document.querySelectorAll(`button[data-${name}]`)) {
      button.setAttribute("aria-pressed", String(button.dataset[name] === value));
    }
  };
  const follow = () => {
    for (const name in system) show(name, stored(name) || system[name]());
  };

  follow();
  dark.addEventListener("change", follow);
  contrast.addEventListener("change", follow);
  document.addEventListener("DOMContentLoaded", () => {
    for (const part of document.querySelectorAll("[data-needs-script]")) part.hidden = false;
    follow();
  });
  document.addEventListener("click", (event) => {
    for (const name in system) {
      const button = event.target.closest(`button[data-${name}]`);
      if (!button) continue;
      // Pressed again, a look gives way to the plain one.
      const plain = name === "theme" ? "light" : "normal";
      const value = root.dataset[name] === button.dataset[name] ? plain : button.dataset[name];
      keep(name, value);
      show(name, value);
    }
  });
})();
