// Replaces the sections of the page by what they are now. A section in which somebody is writing stays as it is.
"use strict";
(() => {
  const live = document.getElementById("live");
  const status = document.getElementById("status");
  if (!live || !status) return;
  const period = Number(live.dataset.seconds) * 1000;
  const say = (text, stale) => {
    if (status.textContent !== text) status.textContent = text;
    status.classList.toggle("stale", stale);
  };
  const inUse = (section) =>
    section.contains(document.activeElement) && document.activeElement !== document.body ||
    [...section.querySelectorAll("input:not([type=hidden])")].some((input) => input.value !== "") ||
    section.querySelector("details[open]") !== null;
  const refresh = async () => {
    const answer = await fetch("/live", { headers: { accept: "text/html" }, cache: "no-store" });
    if (answer.status === 401) {
      location.assign("/login");
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const section of fresh.querySelectorAll("section[id]")) {
      const old = document.getElementById(section.id);
      if (!old) live.append(document.adoptNode(section));
      else if (!inUse(old) && old.outerHTML !== section.outerHTML) old.replaceWith(document.adoptNode(section));
    }
    say("live", false);
  };
  const again = async () => {
    if (!document.hidden) {
      try {
        await refresh();
      } catch {
        say("no connection: what is shown is old", true);
      }
    }
    setTimeout(again, period);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh().catch(() => undefined); });
  setTimeout(again, period);
})();
