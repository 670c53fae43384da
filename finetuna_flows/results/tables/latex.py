"""Tables in LaTeX; what is not plain text is written in math, so that any font has it."""

from __future__ import annotations

from finetuna_flows.results.tables.layout import Column, TextTable

ESCAPED = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
    "_": r"\_",
    "[": "{[}",  # at the start of a line it would be an argument of the line break
    "*": "{*}",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "≤": r"$\leq$",
    "≠": r"$\neq$",
    "±": r"$\pm$",
    "−": "$-$",
    "+": "$+$",
    "√": r"$\surd$",
    "✓": r"$\surd$",
    "✗": r"$\times$",
    "Å": r"\AA{}",
    "–": "--",
}


def to_latex(table: TextTable) -> str:
    """Return a table with its title and notes as the caption; it needs the package booktabs."""
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escaped(' '.join((table.title + '.', *table.notes)))}}}",
        rf"\label{{tab:{table.label}}}",
        r"\small",
        rf"\begin{{tabular}}{{{''.join('l' if each.is_text else 'r' for each in table.columns)}}}",
        r"\toprule",
        *_head(table.columns),
        r"\midrule",
        *(_line([escaped(cell) for cell in row]) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text in which nothing but what it says is left for LaTeX to find."""
    return "".join(ESCAPED.get(character, character) for character in text)


def _head(columns: tuple[Column, ...]) -> list[str]:
    lines = [_line([escaped(column.name) for column in columns])]
    if any(column.unit for column in columns):
        lines.append(_line([escaped(column.unit) for column in columns]))
    return lines


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
