// Sends the volumes chosen in <form data-ferry="/ferry/begin"> a slice at a time, so that a volume
// of any size gets through and an upload that broke off goes on where it stopped. Without this
// script the form itself carries small volumes.
"use strict";
(() => {
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) window.print();
  });

  const form = document.querySelector("form[data-ferry]");
  if (!form) return;
  const list = document.querySelector("[data-ferry-list]");
  const head = 65536;
  const retries = 5;
  const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0) + " MB";
  const pause = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));

  async function post(url, body) {
    const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
    for (let left = retries; ; left--) {
      let answer;
      try {
        answer = await fetch(url, { method: "POST", body, headers: { "X-CSRFToken": token, "Content-Type": "application/octet-stream" } });
      } catch (error) {
        if (!left) throw new Error("网络中断。请重新选择同一文件，会从中断处继续。");
        await pause(2000);
        continue;
      }
      const said = await answer.json().catch(() => ({ text: "服务器没有接受（" + answer.status + "）。" }));
      if (!answer.ok) throw new Error(said.text);
      return said;
    }
  }

  function row(file) {
    const item = document.createElement("li");
    const words = document.createElement("span");
    const bar = document.createElement("progress");
    words.textContent = file.name + "：等待";
    bar.max = file.size || 1;
    bar.value = 0;
    bar.setAttribute("aria-label", file.name);
    item.append(words, bar);
    list.append(item);
    return (text, done, tone) => {
      words.textContent = file.name + "：" + text;
      words.className = tone || "";
      if (done === undefined) bar.remove(); else bar.value = done;
    };
  }

  async function send(file, show) {
    let said = await post(form.dataset.ferry, file.slice(0, head));
    const { url, size, slice, text } = said;
    while (!said.done) {
      const at = said.at;
      show(text + "，已传 " + megabytes(at) + "，剩余 " + megabytes(size - at), at);
      const piece = file.slice(at, at + slice);
      if (!piece.size) throw new Error("文件只有 " + file.size + " 字节，应为 " + size + " 字节。请重新读取这一卷。");
      said = await post(url + "?at=" + at, piece);
    }
    show("✓ " + said.text, undefined);
  }

  form.addEventListener("submit", async (event) => {
    const chosen = [...form.elements.volume.files];
    if (!chosen.length) return;
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    list.replaceChildren();
    const rows = chosen.map(row);
    let failed = false;
    for (const [place, file] of chosen.entries()) {
      try { await send(file, rows[place]); } catch (error) { failed = true; rows[place]("✗ " + error.message, undefined, "bad"); }
    }
    button.disabled = false;
    if (!failed) location.reload();
  });
})();
