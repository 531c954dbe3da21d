(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const samples = data.samples.map((row) => Object.fromEntries(data.fields.map((name, i) => [name, row[i]])));
  const PAGE = 12;

  const { make, plain, fill, term, counted } = elements(data.texts);

  // ---- curves against steps or against KL: both are on the page, one is shown ----
  const against = byId("against");
  if (against) {
    const show = () => {
      const wanted = against.elements.against.value;
      for (const part of document.querySelectorAll("[data-against]")) part.hidden = part.dataset.against !== wanted;
    };
    against.hidden = false;
    against.addEventListener("change", show);
    show();
  }

  // ---- the samples ----
  const form = byId("sample-filters");
  if (!form) return;
  const list = byId("sample-list");
  const more = byId("more");
  const filters = { arm: byId("by-arm"), picked: byId("by-picked"), step: byId("by-step"), seed: byId("by-seed") };
  const distinct = (name) => {
    const values = [...new Set(samples.map((sample) => sample[name]))];
    return typeof values[0] === "number" && name !== "arm" ? values.sort((a, b) => a - b) : values;
  };
  for (const [name, select] of Object.entries(filters)) {
    select.append(new Option("any", ""));
    for (const value of distinct(name)) {
      select.append(new Option(name === "arm" ? data.arms[value] : String(value), String(value)));
    }
    select.closest("label").hidden = select.options.length < 3;
  }

  const card = (sample) => {
    const article = make("article", "card");
    const head = make("p", "about");
    head.append(
      make("b", "", data.arms[sample.arm]),
      make("span", "", sample.picked),
      make("span", "", `step ${sample.step.toLocaleString("en")}`),
      make("span", "", `seed ${sample.seed}`),
    );
    const terms = make("dl", "exchange");
    terms.append(
      term("prompt", fill(make("span", "prompt"), sample.prompt)),
      term("completion", fill(make("pre"), sample.completion), "completion"),
      term("proxy", make("b", "", sample.proxy), "earned"),
      term("gold", make("b", "", sample.gold), "wanted"),
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
    byId("sample-count").textContent = found.length
      ? `Showing ${shown.toLocaleString("en")} of ${counted(found.length, "sample")}`
      : "No sample fits these filters.";
    return next[0];
  };
  const search = () => {
    const wanted = byId("by-text").value.toLowerCase();
    found = samples.filter(
      (sample) =>
        Object.entries(filters).every(([name, select]) => select.value === "" || String(sample[name]) === select.value) &&
        (wanted === "" || [sample.prompt, sample.completion].some((index) => plain(index).toLowerCase().includes(wanted))),
    );
    list.textContent = "";
    shown = 0;
    showMore();
  };
  form.hidden = false;
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
  search();
})();
