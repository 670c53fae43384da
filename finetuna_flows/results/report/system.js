// The page of one system: its methods side by side.

async function showSystem(main, key, signal) {
  const rows = bySystem.get(key) ?? [];
  if (!rows.length) return showNothing(main, `There is no system ${key} in this report.`);
  const heading = make("h1", { tabindex: "-1" }, rows[0].system);
  const crumbs = make(
    "p",
    { class: "crumbs" },
    link("#/relaxations", "Relaxations"),
    " › ",
    rows[0].system,
  );
  const rest = make("div");
  main.replaceChildren(crumbs, heading, subtitle(rows[0]), methodsOf(rows), rest);
  const details = await Promise.all(rows.map(detailsOf));
  if (signal.aborted) return null;
  const detailed = rows
    .map((row, index) => ({ row, ...details[index] }))
    .filter(({ atoms }) => atoms);
  if (detailed.length) {
    rest.append(
      make("h2", {}, "Course"),
      make("div", { class: "figures" }, overlaid(detailed, signal), endsOf(detailed, signal)),
    );
  }
  return { heading, title: rows[0].system };
}

function methodsOf(rows) {
  const some = (name) => rows.some((row) => row[name] !== null);
  const columns = [
    { title: "Method", cell: (row) => link(relaxationPath(row), methodLabel(row.name)) },
    { title: "Parent calls", number: true, cell: (row) => count(row.calls) },
    { title: "of the reference’s", number: true, cell: (row) => percent(row.ratio) },
    some("scf") && { title: "SCF cycles", number: true, cell: (row) => count(row.scf) },
    some("time") && { title: "Wall time", number: true, cell: (row) => seconds(row.time) },
    { title: "Energy (eV)", number: true, cell: (row) => decimals(row.energy, 4) },
    { title: "ΔE (eV)", number: true, cell: (row) => decimals(row.difference, 4, { sign: true }) },
    { title: "fmax (eV/Å)", number: true, cell: (row) => decimals(row.fmax, 4) },
    {
      title: "Minimum",
      cell: (row) =>
        row.same === null ? null : `${row.same ? "same" : "another"} (${decimals(row.rmsd, 3)} Å)`,
    },
    { title: "Paper’s success", cell: (row) => verdict(row.passes, "yes", "no") },
    { title: "Strict success", cell: (row) => verdict(row.strict, "yes", "no") },
    rows.some((row) => row.failures || row.note) && {
      title: "Why not, and what else is to be said",
      long: true,
      cell: (row) => [row.failures, row.note].filter(Boolean).join("; "),
    },
  ].filter(Boolean);
  return smallTable(columns, rows, {
    caption: study.reference ? `Measured against ${study.reference}` : "Without a reference",
  });
}

function overlaid(detailed, signal) {
  return plot({
    title: "Energy and forces by parent calls",
    sentence:
      "Every dot is a parent call; energies above the lowest end. Click on one for its relaxation.",
    height: 500,
    signal,
    draw: () => drawOverlaid(detailed.filter(({ calls }) => calls?.step.length)),
  });
}

function drawOverlaid(detailed) {
  const ends = detailed.map(({ row }) => row.energy).filter((energy) => energy !== null);
  const lowest = Math.min(...ends);
  const traces = ({ row, calls }) => {
    const look = lookOf(row.name);
    const shared = {
      x: calls.step.map((_, index) => index + 1),
      customdata: calls.step.map(() => relaxationPath(row)),
      type: "scatter",
      mode: "lines+markers",
      name: plain(row.name),
      legendgroup: row.uuid,
      line: { color: look.color, width: 1.3, dash: look.dash },
      marker: markerOf(row.name, { size: 6 }),
    };
    const said = (unit) => `call %{x}<br>%{y:.4f} ${unit}<extra>${plain(row.name)}</extra>`;
    return [
      { ...shared, y: calls.energy.map((energy) => energy - lowest), hovertemplate: said("eV") },
      { ...shared, y: calls.fmax, yaxis: "y2", showlegend: false, hovertemplate: said("eV/Å") },
    ];
  };
  return {
    data: detailed.flatMap(traces),
    layout: {
      xaxis: logAxis(
        "Parent call",
        detailed.map(({ calls }) => calls.step.length),
        { anchor: "y2" },
      ),
      yaxis: axis("E − E<sub>lowest</sub> (eV)", { domain: [0.53, 1] }),
      yaxis2: logAxis(
        "fmax (eV/Å)",
        detailed.flatMap(({ calls }) => calls.fmax),
        { domain: [0, 0.47], anchor: "x" },
      ),
    },
  };
}

function endsOf(detailed, signal) {
  const first = detailed[0].atoms;
  const view = structureView({
    atoms: first,
    signal,
    label: `Atoms at the start and at the ends. ${CONTROLS}`,
  });
  const places = [
    ["start", first.start],
    ...detailed.map(({ row, atoms }) => [`end of ${row.name}`, atoms.end]),
  ];
  const names = places.map(([name], index) => [String(index), name]);
  const chosen = { solid: "1", ghost: places.length > 2 ? "2" : "0" };
  const show = () =>
    view.show(
      places[Number(chosen.solid)][1],
      chosen.ghost === "" ? null : places[Number(chosen.ghost)][1],
    );
  const pick = (title, name, values) => {
    const select = make(
      "select",
      {
        on: {
          change: () => {
            chosen[name] = select.value;
            show();
          },
        },
      },
      ...values.map(([value, text]) =>
        make("option", { value, selected: value === chosen[name] }, text),
      ),
    );
    return make("label", {}, `${title} `, select);
  };
  show();
  return make(
    "section",
    { class: "structure" },
    make("b", {}, "Ends"),
    make(
      "div",
      { class: "buttons" },
      pick("Solid:", "solid", names),
      pick("Faint:", "ghost", [["", "nothing"], ...names]),
      make("span", {}, ...viewButtons(view)),
    ),
    view.canvas,
    view.said,
    elementLegend(first.symbols),
  );
}
