// Steps through a program: each item of the list names a line of the code above it. Without JavaScript it is a list.
(function () {
  "use strict";

  function prepare(walk) {
    const lines = walk.querySelectorAll("pre code > span");
    const steps = [...walk.querySelectorAll("ol > li")];
    if (!steps.length || walk.classList.contains("walk-ready")) return;
    let now = 0;
    const bar = document.createElement("div");
    bar.className = "walk-bar";
    const back = button("Back", () => go(now - 1));
    const next = button("Next", () => go(now + 1));
    const where = document.createElement("span");
    const told = document.createElement("p");
    told.setAttribute("aria-live", "polite");
    bar.append(back, next, where, told);
    walk.prepend(bar);
    steps.forEach((step, index) => step.addEventListener("click", () => go(index)));
    walk.classList.add("walk-ready");
    go(0);

    function go(index) {
      if (index < 0 || index >= steps.length) return;
      now = index;
      const line = Number((steps[now].querySelector("strong") || {}).textContent.replace(/\D/g, ""));
      lines.forEach((each, number) => each.classList.toggle("walk-here", number === line - 1));
      steps.forEach((each, number) => each.classList.toggle("walk-now", number === now));
      back.disabled = now === 0;
      next.disabled = now === steps.length - 1;
      where.textContent = `step ${now + 1} of ${steps.length}`;
      told.replaceChildren(...[...steps[now].childNodes].map((node) => node.cloneNode(true)));
    }
  }

  function button(text, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  }

  document.querySelectorAll(".walk").forEach(prepare);
})();
