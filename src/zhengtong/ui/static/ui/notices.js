// What happens elsewhere reaches this page: one EventSource, whose every message is JSON
//   {"kind": "task.changed", "text": "…", "todo": 12}
// `todo` renews the count, `text` is spoken by the live region, and every element marked
// data-refresh-on="task.changed …" with hx-get and hx-trigger="refresh" is fetched anew. With
// data-refresh-every="15" (and an id) it also is every 15 s: nobody tells of what has fallen silent.
"use strict";
(() => {
  const address = document.body.dataset.notices;
  if (!address || !window.EventSource) return;
  const live = document.getElementById("live");
  const waiting = new Set();
  let source = null;
  let last = "";
  let timer = 0;
  let worry = 0;

  // Never replace what a person is working in: typed text, an open choice, ticked rows.
  const busy = (element) => {
    const active = document.activeElement;
    return (element.contains(active) && active.matches("input,textarea,select"))
      || element.querySelector("[data-row] input:checked,dialog[open],details.confirm[open]") !== null;
  };

  function flush() {
    timer = 0;
    for (const element of waiting) {
      if (element.isConnected && busy(element)) continue;
      waiting.delete(element);
      if (element.isConnected) window.htmx?.trigger(element, "refresh");
    }
  }
  // A burst of messages (a document sent to eighteen units) is one refresh.
  const soon = () => { timer ||= setTimeout(flush, 300); };

  function refresh(kind) {
    for (const element of document.querySelectorAll("[data-refresh-on]")) {
      if (!kind || element.dataset.refreshOn.split(/\s+/).includes(kind)) waiting.add(element);
    }
    soon();
  }

  for (const { id, dataset } of document.querySelectorAll("[id][data-refresh-every]")) {
    setInterval(() => {
      const element = document.getElementById(id);
      if (!element || document.hidden) return;
      waiting.add(element);
      soon();
    }, dataset.refreshEvery * 1000);
  }

  function hear(message) {
    last = message.lastEventId || last;
    let notice;
    try { notice = JSON.parse(message.data); } catch { return; }
    if (Number.isInteger(notice.todo)) {
      for (const place of document.querySelectorAll("[data-todo]")) place.textContent = notice.todo;
    }
    if (notice.text && live) live.textContent = notice.text;
    if (notice.kind) refresh(notice.kind);
  }

  function open() {
    const from = last ? (address.includes("?") ? "&" : "?") + "last=" + encodeURIComponent(last) : "";
    source = new EventSource(address + from);
    source.onmessage = hear;
    source.onopen = () => {
      clearTimeout(worry);
      worry = 0;
      delete document.body.dataset.live;
    };
    source.onerror = () => {
      // A blink of the line is nobody's concern; five seconds of it are.
      worry ||= setTimeout(() => { document.body.dataset.live = "off"; }, 5000);
      // The browser retries a broken line by itself, sending Last-Event-ID; after an answer
      // that is no stream (a restart, a proxy's error page) it gives up, so we do not.
      if (source.readyState === EventSource.CLOSED) setTimeout(reopen, 15000);
    };
  }
  function close() {
    source?.close();
    source = null;
  }
  function reopen() {
    if (document.hidden) return;
    close();
    open();
  }

  // A browser holds six connections to a host: tabs in the background must not keep them.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    reopen();
    refresh();
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => { if (event.persisted) reopen(); });
  for (const event of ["focusout", "change", "close"]) document.addEventListener(event, () => { if (waiting.size) soon(); }, true);
  if (!document.hidden) open();
})();
