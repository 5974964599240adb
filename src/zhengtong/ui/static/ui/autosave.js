// What a person types into <form data-autosave="key"> survives a closed tab, a lost line and an
// ended session: it is kept on this machine, offered back, and cleared once the server has it.
// Nothing is restored unasked. Passwords, files, hidden fields and what is marked
// data-unsaved are never kept.
"use strict";
(() => {
  const owner = document.body.dataset.person || "";
  const prefix = "zt-draft:" + owner + ":";
  const sent = "zt-sent";
  const week = 7 * 24 * 3600 * 1000;

  const read = (key) => {
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  };
  const write = (key, value) => {
    try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* full or refused */ }
  };
  const keys = () => Object.keys(localStorage).filter((key) => key.startsWith(prefix));
  const keyOf = (form) => prefix + form.dataset.autosave;

  const fields = (form) => [...form.elements].filter((field) =>
    field.name && !field.disabled && !("unsaved" in field.dataset) && !["hidden", "password", "file", "submit", "button"].includes(field.type) && field.type !== "fieldset");
  const values = (form) => fields(form).map((field) =>
    [field.name, ["checkbox", "radio"].includes(field.type) ? field.value : "",
      ["checkbox", "radio"].includes(field.type) ? field.checked : field.multiple ? [...field.selectedOptions].map((o) => o.value) : field.value]);

  function put(form, saved) {
    for (const field of fields(form)) {
      const boxed = ["checkbox", "radio"].includes(field.type);
      const match = saved.find(([name, value]) => name === field.name && (!boxed || value === field.value));
      if (!match) continue;
      if (boxed) field.checked = match[2];
      else if (field.multiple) for (const option of field.options) option.selected = match[2].includes(option.value);
      else field.value = match[2];
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  const button = (text, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "button slim";
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  };

  function offer(form) {
    const draft = read(keyOf(form));
    if (!draft || JSON.stringify(draft.values) === JSON.stringify(values(form))) return;
    const bar = document.createElement("div");
    bar.className = "restore";
    bar.setAttribute("role", "status");
    const when = new Date(draft.at).toLocaleString("zh-CN", { dateStyle: "long", timeStyle: "short" });
    const words = document.createElement("span");
    words.textContent = `本机存有 ${when} 未提交的内容`;
    bar.append(words,
      button("恢复", () => { put(form, draft.values); bar.remove(); }),
      button("丢弃", () => { localStorage.removeItem(keyOf(form)); bar.remove(); }));
    form.prepend(bar);
  }

  const begin = (scope) => {
    const forms = [...scope.querySelectorAll("form[data-autosave]")];
    if (scope.matches?.("form[data-autosave]")) forms.push(scope);
    for (const form of forms) {
      if (form.dataset.watched) continue;
      form.dataset.watched = "yes";
      offer(form);
    }
  };

  const timers = new Map();
  const save = (form) => {
    clearTimeout(timers.get(form));
    timers.delete(form);
    write(keyOf(form), { at: Date.now(), values: values(form) });
  };
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    // The first keystroke is a refusal of the older text, so the offer goes with it.
    if (!event.isTrusted || !form?.matches("[data-autosave]")) return;
    form.querySelector(".restore")?.remove();
    clearTimeout(timers.get(form));
    timers.set(form, setTimeout(save, 600, form));
  });
  window.addEventListener("pagehide", () => [...timers.keys()].forEach(save));

  // Submitting proves nothing; arriving by redirect does. A form with errors comes back without
  // one, and the sign-in page (an ended session redirects there) asks to keep every draft.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("[data-sign-out]")) {
      if (!keys().length) return;
      if (!confirm(form.dataset.ask)) return event.preventDefault();
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
      keys().forEach((key) => localStorage.removeItem(key));
    } else if (form.matches("[data-autosave]") && !event.defaultPrevented) {
      save(form);
      try { sessionStorage.setItem(sent, keyOf(form)); } catch { /* the draft is then offered once too often */ }
    }
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, successful, xhr } = event.detail;
    if (!successful || !elt.matches?.("form[data-autosave]") || event.detail.requestConfig?.verb === "get") return;
    if (!xhr.responseText.includes('aria-invalid="true"')) localStorage.removeItem(keyOf(elt));
  });
  document.addEventListener("htmx:afterSettle", (event) => begin(event.target));

  try {
    const key = sessionStorage.getItem(sent);
    const redirected = performance.getEntriesByType("navigation")[0]?.redirectCount > 0;
    if (key && redirected && !("keepDrafts" in document.body.dataset)) localStorage.removeItem(key);
    sessionStorage.removeItem(sent);
    for (const old of keys()) if (Date.now() - (read(old)?.at ?? 0) > week) localStorage.removeItem(old);
  } catch { /* no storage, nothing to tidy */ }
  begin(document);
})();
