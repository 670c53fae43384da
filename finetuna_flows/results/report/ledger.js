// The parent calls of one relaxation, one a line.

function ledgerOf({ calls }) {
  const heading = make("h2", {}, "Parent calls");
  if (!calls)
    return [
      heading,
      make("p", { class: "muted" }, "The store keeps no ledger of this relaxation."),
    ];
  const indices = calls.step.map((_, index) => index);
  const some = (name) => calls[name].some((value) => value !== null);
  const number = (title, name, digits, hint) => ({
    title,
    hint,
    number: true,
    cell: (i) => decimals(calls[name][i], digits),
  });
  const small = (title, name, hint) => ({
    title,
    hint,
    number: true,
    cell: (i) => twoDigits(calls[name][i]),
  });
  const columns = [
    { title: "Call", number: true, cell: (i) => String(i + 1) },
    { title: "Step", number: true, cell: (i) => String(calls.step[i]) },
    number("Energy (eV)", "energy", 4),
    number("fmax (eV/Å)", "fmax", 4),
    some("predictedFmax") &&
      number("predicted (eV/Å)", "predictedFmax", 4, "fmax that the surrogate had predicted"),
    some("error") &&
      small(
        "force error (eV/Å)",
        "error",
        "Root mean square over the free components, before tuning",
      ),
    some("tuned") && small("after tuning (eV/Å)", "tuned", "The same after tuning"),
    some("scf") && { title: "SCF", number: true, cell: (i) => count(calls.scf[i]) },
    calls.time.some((value) => value > 0) && {
      title: "Time (s)",
      number: true,
      cell: (i) => decimals(calls.time[i], 1),
    },
    { title: "Asked because", long: true, cell: (i) => reasonsOf(calls, i) },
  ].filter(Boolean);
  return [
    heading,
    smallTable(columns, indices, {
      className: "scroll ledger",
      caption: many(indices.length, "parent call"),
    }),
  ];
}

function reasonsOf(calls, i) {
  const words = calls.reasons[i].map((reason) => study.sentences[reason] ?? reason);
  if (calls.restarts[i]) words.push(`the engine was started again, ${calls.restarts[i]}×`);
  if (calls.replayed[i]) words.push("replayed from an earlier run");
  return words.join("; ");
}
