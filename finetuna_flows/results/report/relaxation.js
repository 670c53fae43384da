// The page of one relaxation.

async function showRelaxation(main, uuid, signal) {
  const row = byUuid.get(uuid);
  if (!row) return showNothing(main, `There is no relaxation ${uuid} in this report.`);
  const heading = make("h1", { tabindex: "-1" }, methodLabel(row.name), ` on ${row.system}`);
  const crumbs = make(
    "p",
    { class: "crumbs" },
    link("#/relaxations", "Relaxations"),
    " › ",
    link(systemPath(row), row.system),
    " › ",
    row.name,
  );
  const rest = make("div");
  main.replaceChildren(crumbs, heading, subtitle(row), rest);
  const details = await detailsOf(row);
  if (signal.aborted) return null;
  rest.append(factsOf(row, details), siblings(row));
  if (!details) {
    rest.append(
      make(
        "p",
        { class: "muted" },
        "Its details were left out of this report (--no-details); they are in the store.",
      ),
    );
  } else {
    rest.append(
      make("h2", {}, "Course"),
      make(
        "div",
        { class: "figures" },
        structureOf(row, details, signal),
        make("div", {}, ...curves(row, details, signal)),
      ),
      ...ledgerOf(details),
      ...settingsOf(details),
    );
  }
  return { heading, title: `${row.name} on ${row.system}` };
}

function subtitle(row) {
  const words = [
    row.formula,
    row.adsorbate && `adsorbate ${row.adsorbate}`,
    many(row.sites, "atom"),
  ];
  return make("p", { class: "muted" }, words.filter(Boolean).join(" · "));
}

// Good or bad in words, with a colour that only underlines it.
function verdict(value, good, bad) {
  if (value === null) return null;
  return make("span", { class: value ? "good" : "bad" }, value ? good : bad);
}

function factsOf(row, details) {
  const facts = details?.facts;
  const relative = (value) =>
    value === null ? "" : ` (${percent(value)} of ${study.reference}’s)`;
  const split = [
    ["parent", row.parent],
    ["tuning", row.tuning],
    ["prediction", row.prediction],
    ["overhead", row.overhead],
  ]
    .filter(([, value]) => value > 0)
    .map(([name, value]) => `${name} ${seconds(value)}`)
    .join(", ");
  const replayed = facts?.replayed ? `, ${facts.replayed} replayed` : "";
  const minimum = ({ same }) => (same ? "the reference’s" : "another");
  const end =
    row.same === null ? null : `${minimum(row)} minimum, ${decimals(row.rmsd, 3)} Å apart (rms)`;
  return factList([
    ["Parent calls", count(row.calls) + relative(row.ratio) + replayed],
    ["SCF cycles", row.scf === null ? null : `${count(row.scf)}${relative(row.scf_ratio)}`],
    [
      "Wall time",
      row.time !== null ? `${seconds(row.time)}${split ? `: ${split}` : ""}` : "not known",
    ],
    ["Steps", count(row.steps)],
    ["Energy", row.energy === null ? "the parent never answered" : `${decimals(row.energy, 4)} eV`],
    [
      "ΔE",
      row.difference === null
        ? null
        : `${decimals(row.difference, 4, { sign: true })} eV against ${study.reference}`,
    ],
    [
      "fmax",
      row.fmax === null
        ? null
        : `${decimals(row.fmax, 4)} eV/Å${facts ? ` (threshold ${facts.threshold})` : ""}`,
    ],
    ["End", end],
    ["Success by the paper’s rule", verdict(row.passes, "yes", "no")],
    [
      "Success by the strict rule",
      verdict(row.strict, "yes", row.failures ? `no: ${row.failures}` : "no"),
    ],
    [
      "Stopped because",
      verdict(row.converged, study.sentences[row.stop], facts?.stop ?? study.sentences[row.stop]),
    ],
    ["Adsorbate", study.sentences[row.integrity]],
    ["Parent kept", row.mode],
    ["Way of relaxing", row.method],
    ["Completed", `${row.completed} UTC`],
    ["Tags", row.tags],
    ["UUID", row.uuid],
    ["Note", row.note, true],
    ["Level of theory", facts?.level, true],
    ["Inferred", facts?.inferred.join("; "), true],
    ["Folder", facts?.directory, true],
  ]);
}

function siblings(row) {
  const others = bySystem.get(row.key).filter((other) => other !== row);
  const line = make(
    "p",
    {},
    others.length ? "Of the same system: " : "No other relaxation of this system. ",
  );
  for (const other of others) {
    const said = [
      many(other.calls, "call"),
      other.difference === null ? "" : `ΔE ${decimals(other.difference, 3, { sign: true })} eV`,
    ];
    line.append(
      make(
        "span",
        { class: "nowrap" },
        link(relaxationPath(other), methodLabel(other.name)),
        make("span", { class: "muted" }, ` ${said.filter(Boolean).join(", ")}`),
      ),
      "; ",
    );
  }
  line.append(link(systemPath(row), "side by side"), ".");
  return line;
}

function structureOf(row, { atoms }, signal) {
  const view = structureView({
    atoms,
    signal,
    label: `Atoms of ${row.formula}, start and end of the relaxation. ${CONTROLS}`,
  });
  const chosen = switches(
    [
      ["Start", () => view.show(atoms.start)],
      ["End", () => view.show(atoms.end)],
      ["Both", () => view.show(atoms.end, atoms.start)],
    ],
    1,
  );
  return make(
    "section",
    { class: "structure" },
    make("b", {}, "Start and end"),
    make(
      "div",
      { class: "buttons" },
      make("span", {}, ...chosen),
      make("span", {}, ...viewButtons(view)),
    ),
    view.canvas,
    view.said,
    elementLegend(atoms.symbols),
    make(
      "p",
      { class: "muted" },
      "Both: the end solid, the start faint, a line along each atom’s way by the minimum image. ",
      CONTROLS,
    ),
  );
}

function settingsOf({ facts }) {
  const packages = Object.entries(facts.packages)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
  return [
    make("h2", {}, "Settings"),
    make(
      "details",
      {},
      make("summary", {}, "Everything the user chose"),
      make("pre", { tabindex: "0" }, JSON.stringify(facts.spec, null, 2)),
    ),
    make("details", {}, make("summary", {}, "Versions of packages"), make("p", {}, packages)),
  ];
}
