// The first page: what was compared, how the methods did, and every relaxation as a dot.

function showStudy(main, signal) {
  const heading = make("h1", { tabindex: "-1" }, study.title);
  main.replaceChildren(
    heading,
    lead(),
    aboutStudy(),
    ...study.tables.map(textTable),
    ...pairs(),
    ...(study.reference ? [make("h2", {}, "Plots")] : []),
    make("div", { class: "figures" }, ...plotsOf(signal)),
  );
  return { heading, title: "Study" };
}

function lead() {
  const of = `${many(relaxations.length, "relaxation")} of ${many(study.systems, "system")}`;
  const begin = `${of} by ${many(study.methods.length, "method")}`;
  const against = study.reference
    ? `, measured against ${study.reference}.`
    : ". No method among them is known as a reference, so nothing is compared: name one with " +
      "--reference.";
  return make("p", {}, `${begin}${against} `, link("#/relaxations", "See them all"), ".");
}

function aboutStudy() {
  return factList([
    ["Reference", study.reference && methodLabel(study.reference)],
    ["Energy tolerance", study.tolerance === null ? null : `${study.tolerance} eV`],
    ["Counting rule", study.counting],
    ["Systems compared", study.compared ? count(study.compared) : null],
    ["Written", study.written],
    ["Version", `finetuna-flows ${study.version}`],
  ]);
}

// A table of the package, cell by cell; the first column names a method, or a pair of them.
function textTable({ title, columns, rows, notes }) {
  const heads = columns.map(({ name, unit, text }, place) => ({
    title: unit ? `${name} (${unit})` : name,
    number: !text,
    cell: (row) => (place || !study.methods.includes(row[0]) ? row[place] : methodLabel(row[0])),
  }));
  return make(
    "section",
    {},
    make("h2", {}, title),
    smallTable(heads, rows, { caption: title }),
    make("p", { class: "muted notes" }, notes.join(" ")),
  );
}

function pairs() {
  if (!study.pairs.length) return [];
  return [
    make(
      "details",
      { class: "pairs" },
      make("summary", {}, "Methods in pairs: do they differ?"),
      ...study.pairs.map(textTable),
    ),
  ];
}
