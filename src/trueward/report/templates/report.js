(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const examples = data.examples.map((row) => Object.fromEntries(data.fields.map((name, i) => [name, row[i]])));
  const PAGE = 20;

  const { make, plain, fill, term, counted } = elements(data.texts);

  const payoff = (value) => {
    if (value === null) return "";
    const text = value.toFixed(2).replace(/\.00$/, "").replace(/^(-?)0\./, "$1.");
    return text === "-0" ? "0" : text;
  };

  // ---- the table of all rewards ----
  const table = byId("rewards");
  if (table) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const filter = () => {
      const wanted = byId("find-reward").value.toLowerCase();
      const verdict = byId("find-verdict").value;
      let left = 0;
      for (const row of rows) {
        row.hidden =
          !row.textContent.toLowerCase().includes(wanted) || (verdict !== "" && row.dataset.verdict !== verdict);
        left += row.hidden ? 0 : 1;
      }
      byId("reward-count").textContent = left === rows.length ? "" : `${left} of ${rows.length}`;
    };
    byId("reward-filters").hidden = false;
    byId("reward-filters").addEventListener("input", filter);
    byId("reward-filters").addEventListener("submit", (event) => event.preventDefault());

    const key = (row, column, kind) => {
      const cell = row.cells[column];
      const value = cell.dataset.key === undefined ? cell.textContent.trim() : cell.dataset.key;
      return kind === "number" ? Number(value) : value.toLowerCase();
    };
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = make("button", "", head.textContent);
      button.type = "button";
      head.textContent = "";
      head.append(button);
      button.addEventListener("click", () => {
        const kind = head.dataset.sort;
        const first = kind === "number" ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const direction = head.getAttribute("aria-sort") === first ? other : first;
        for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", direction);
        const sign = direction === "ascending" ? 1 : -1;
        rows.sort((a, b) => {
          const [x, y] = [key(a, column, kind), key(b, column, kind)];
          return sign * (x < y ? -1 : x > y ? 1 : 0);
        });
        body.append(...rows);
      });
    });
  }

  // ---- opening what a link points to ----
  const open = () => {
    const target = location.hash.length > 1 ? byId(location.hash.slice(1)) : null;
    if (target instanceof HTMLDetailsElement) {
      target.open = true;
      target.scrollIntoView();
      target.querySelector("summary").focus({ preventScroll: true });
    }
  };
  addEventListener("hashchange", open);
  open();

  // ---- the examples ----
  const list = byId("example-list");
  const more = byId("more");
  const filters = {
    reward: byId("by-reward"),
    origin: byId("by-origin"),
    family: byId("by-family"),
    relation: byId("by-relation"),
    status: byId("by-status"),
  };
  const choose = (select, values, words) => {
    select.append(new Option("any", ""));
    for (const value of values) select.append(new Option(words(value), String(value)));
    select.closest("label").hidden = values.length < 2;
  };
  const distinct = (name) => [...new Set(examples.map((example) => example[name]))].sort();
  const rewards = [...new Set(examples.map((example) => example.reward))];
  rewards.sort((a, b) => (data.rewards[a] < data.rewards[b] ? -1 : 1));
  choose(filters.reward, rewards, (index) => data.rewards[index]);
  choose(filters.origin, distinct("origin"), (value) => value);
  choose(filters.family, distinct("family"), (value) => value);
  choose(filters.relation, distinct("relation"), (value) => `${value}: ${data.relations[value] || ""}`);
  choose(filters.status, distinct("status"), (value) => value);

  // What a search did is read step by step; the few steps of a fixed probe fit on a line.
  const steps = (example) => {
    const made = make("ol", example.origin === "search" ? "derivation" : "derivation brief");
    for (const index of example.derivation) made.append(fill(make("li"), index));
    return made;
  };

  const card = (example) => {
    const article = make("article", "card");
    const head = make("p", "about");
    if (data.rewards.length > 1) head.append(make("code", "", data.rewards[example.reward]));
    head.append(make("b", "", example.family), make("span", "", example.variant));
    if (example.payoff !== null) head.append(make("span", "payoff", `payoff ${payoff(example.payoff)}`));
    if (example.status !== "ok") head.append(make("span", "status", example.status));
    const terms = make("dl", "exchange");
    const words = data.words[example.reward];
    const earned = make("span");
    if (example.status === "ok") {
      earned.append(make("b", "", example.earns));
      if (example.right !== "–") earned.append(make("span", "", ` ${words.full} ${example.right}`));
    } else {
      fill(earned, example.earned);
    }
    terms.append(term(words.prompt, fill(make("span", "prompt"), example.prompt)));
    if (example.reference >= 0) terms.append(term(words.reference, fill(make("code"), example.reference)));
    terms.append(
      term(words.completion, fill(make("pre"), example.completion), "completion"),
      term(words.reward, earned, "earned"),
      term("why", fill(make("span"), example.why)),
      ...(example.derivation.length ? [term("how it was made", steps(example))] : []),
      term("probe", make("code", "", words.unit !== "prompt" ? `${example.id} of ${example.row}` : `${example.id} of row ${example.row}`), "probe"),
    );
    article.append(head, terms);
    return article;
  };

  let found = [];
  let shown = 0;
  const showMore = () => {
    const next = found.slice(shown, shown + PAGE).map(card);
    list.append(...next);
    shown += next.length;
    more.hidden = shown >= found.length;
    byId("example-count").textContent = found.length
      ? `Showing ${shown.toLocaleString("en")} of ${counted(found.length, "example")}` +
        (found.length < examples.length ? ` (${examples.length.toLocaleString("en")} in all)` : "")
      : examples.length
        ? "No example fits these filters."
        : "There is nothing to show: no probe was paid or refused against the rules.";
    return next[0];
  };
  const search = () => {
    const least = byId("by-payoff").value;
    const wanted = byId("by-text").value.toLowerCase();
    found = examples.filter(
      (example) =>
        Object.entries(filters).every(([name, select]) => select.value === "" || String(example[name]) === select.value) &&
        (least === "" || (example.payoff !== null && example.payoff >= Number(least))) &&
        (wanted === "" ||
          [example.prompt, example.completion, example.reference, example.why, ...example.derivation].some((index) =>
            plain(index).toLowerCase().includes(wanted),
          ) ||
          example.id === wanted),
    );
    list.textContent = "";
    shown = 0;
    showMore();
  };
  const form = byId("example-filters");
  form.hidden = examples.length === 0;
  form.addEventListener("input", search);
  form.addEventListener("reset", () => setTimeout(search));
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => {
    const first = showMore();
    if (first) {
      first.tabIndex = -1;
      first.focus();
    }
  });
  for (const link of document.querySelectorAll("a.all")) {
    link.addEventListener("click", () => {
      form.reset();
      filters.reward.value = link.dataset.reward;
      filters.family.value = link.dataset.family || "";
      filters.origin.value = link.dataset.origin || "";
      byId("by-text").value = link.dataset.text || "";
      // The reset above searches once more when it is done, with the values set here.
    });
  }
  search();
})();
