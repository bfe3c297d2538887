"use strict";
// Filters of the index. Their state is in the address after #, as in #verdict=refuted&part=optimization&text=sigmoid.
(() => {
  const form = document.getElementById("filters");
  const boxes = [...form.querySelectorAll("[name=verdict]")];
  const [part, text] = [document.getElementById("part"), document.getElementById("text")];
  const questions = [...document.querySelectorAll(".question")];
  const all = document.querySelectorAll(".statement").length;

  const show = () => {
    const verdicts = boxes.filter((box) => box.checked).map((box) => box.value);
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let statements = 0;
    let shownQuestions = 0;
    for (const question of questions) {
      let shown = 0;
      const title = question.querySelector("h3").textContent;
      for (const statement of question.querySelectorAll(".statement")) {
        const content = `${title} ${statement.textContent}`.toLowerCase();
        const fits = (!verdicts.length || verdicts.includes(statement.dataset.verdict)) &&
          (!part.value || part.value === question.dataset.part) && words.every((word) => content.includes(word));
        statement.hidden = !fits;
        shown += fits;
      }
      question.hidden = !shown && (verdicts.length || part.value || words.length);
      statements += shown;
      shownQuestions += !question.hidden;
    }
    for (const section of document.querySelectorAll(".part")) {
      section.hidden = !section.querySelector(".question:not([hidden])");
    }
    const label = `${statements} of ${all} statements are shown, of ${shownQuestions} of ${questions.length} questions.`;
    document.getElementById("shown").textContent = label;
    return verdicts;
  };

  const write = () => {
    const verdicts = show();
    const state = new URLSearchParams();
    if (verdicts.length) state.set("verdict", verdicts.join(" "));
    if (part.value) state.set("part", part.value);
    if (text.value.trim()) state.set("text", text.value.trim());
    history.replaceState(null, "", `#${state}`);
  };

  const read = () => {
    const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
    const verdicts = (state.get("verdict") || "").split(/[\s,]+/);
    for (const box of boxes) box.checked = verdicts.includes(box.value);
    part.value = state.get("part") || "";
    if (part.selectedIndex < 0) part.value = "";
    text.value = state.get("text") || "";
    show();
  };

  form.hidden = false;
  form.addEventListener("input", write);
  form.addEventListener("reset", () => setTimeout(write));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", read);
  read();
})();
