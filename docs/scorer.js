// What the search shows first: pages that say how, before those that say why or how fast.
Scorer = {
  score: ([page, , , , score]) => {
    if (/^(decisions|benchmarks|testing|recipes|contributing)$/.test(page)) return score - 12;
    return /^(guides|notebooks)\//.test(page) ? score + 6 : score;
  },
  objNameMatch: 11, objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
