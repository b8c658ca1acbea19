"""Tables in LaTeX: text that prints as it reads, and an environment that fits one column or the whole width."""

import re
import textwrap
from collections.abc import Sequence
from itertools import groupby

from tetviz.errors import printable
from tetviz.figures.formatting import NO_NUMBER

# What pdflatex would take as a command, cannot print, or would join to another sign.
_SIGNS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "-": "-{}",
    "±": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "·": r"$\cdot$",
    "→": r"$\to$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "\N{MINUS SIGN}": r"$-$",
    "\N{EN DASH}": "--",
    "—": "---",
    "…": r"\ldots{}",
    "°": r"$^{\circ}$",
    "²": r"$^{2}$",
    "³": r"$^{3}$",
    "\N{MICRO SIGN}": r"$\mu$",
}
_SMALL = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi mathrm{o} pi rho varsigma sigma tau "
    "upsilon varphi chi psi omega"
)
_CAPITAL = {3: "Gamma", 4: "Delta", 8: "Theta", 11: "Lambda", 14: "Xi", 16: "Pi", 19: "Sigma", 21: "Upsilon"}
_CAPITAL |= {22: "Phi", 24: "Psi", 25: "Omega"}
_SIGNS |= {chr(0x3B1 + place): f"$\\{name}$" for place, name in enumerate(_SMALL.split())}
_SIGNS |= {chr(0x390 + place): f"$\\{name}$" for place, name in _CAPITAL.items()}
_SIGN = re.compile("|".join(["-(?=-)", *(re.escape(sign) for sign in _SIGNS if sign != "-")]))

# What tables write in plain text and papers as formulas.
_FORMULAS = (
    (re.compile(r"\bL_(SDT|TET|TOTAL|MSE)\b"), r"$\\mathcal{L}_{\\mathrm{\1}}$"),
    (re.compile(r"\bphi\(JJ\^T\)"), r"$\\phi(JJ^{\\top})$"),
    (re.compile(r"\bsigmoid\(k \(u - V_th\)\)"), r"$\\mathrm{sigmoid}(k(u - V_{\\mathrm{th}}))$"),
    (re.compile(r"\bd_(in|err|need|wu)\b"), r"$d_{\\mathrm{\1}}$"),
    (re.compile(r"\^([0-9]+)"), r"$^{\1}$"),
    (re.compile(r"\b(lambda|phi|rho)\b"), r"$\\\1$"),
    (re.compile(r"\buJ\b"), r"$\\mu$J"),
    (re.compile(r"(?<=[0-9])\.\.(?=[0-9T])"), "--"),
    (re.compile(r"(?<![\w.)\]])-(?=[0-9])"), "$-$"),
)
_PIECE = re.compile("|".join([*(f"(?:{pattern.pattern})" for pattern, _ in _FORMULAS), _SIGN.pattern]))

# A dash, or a number with its deviation or interval and a word beside it, such as "3 ± 1 (n = 2)" or "7 (chosen)".
_DIGITS = r"[+-]?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]*)?(?:e[+-][0-9]+)?"
_RANGE = rf" [\[(](?:n = )?{_DIGITS}(?:, {_DIGITS})?[\])]"
_NUMBER = re.compile(rf"(?:{NO_NUMBER}|{_DIGITS}(?: ± {_DIGITS})?(?:{_RANGE})*(?: \([a-z]+\))?)?")
_SIGN_OF_NUMBER = re.compile(r"(?<![\w.)\]])([+-])(?=[0-9.])")
_POWER = re.compile(r"e([+-])0*([0-9]+)")

# Characters of a row with its gaps: a column of a paper of two columns takes no more, and its whole width no more.
_COLUMN, _PAGE = 48, 72
_ROWS = 36  # of a page, with a caption
_HEAD = 6  # characters that a line of a head may have, above however narrow a column
_KNOWN = 0x17F  # the last of the letters of Latin scripts that pdflatex has
_LACKING = frozenset("«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ")  # of those, but not in the fonts that it takes by default


def latex_table(
    cells: Sequence[Sequence[str]], caption: str, label: str, origin: str = "", *, networks: bool = False
) -> str:
    """A table in LaTeX, for the packages booktabs and graphicx.

    It spans both columns of a paper of two if one is too narrow, and is made smaller where it is wider than that. A
    table that is longer than a page goes on in another of the same number.
    """
    header, *body = cells
    names = [row[0] for row in body]
    repeated = len(set(names)) < len(names)
    if repeated and header[0] == "network" and len(set(names)) == 1:
        header, body, repeated = header[1:], [row[1:] for row in body], False  # the caption names the network
    numeric = [at > 0 and all(_NUMBER.fullmatch(row[at]) for row in body) for at in range(len(header))]
    heads = _heads(header, body)
    width = sum(max(len(line[at]) for line in [*heads, *body]) + 2 for at in range(len(header)))
    environment = "table" if width <= _COLUMN else "table*"
    parts = [body[start : start + _ROWS] for start in range(0, len(body), _ROWS)] or [[]]
    told = [f"% needs the packages booktabs and graphicx. {printable(' '.join(origin.split()))}".rstrip()]
    texts = [caption, *header, *(cell for row in body for cell in row)]
    beyond = "".join(sorted({character for text in texts for character in text if _strange(character)}))
    if beyond:
        told.append(f"% for XeLaTeX or LuaLaTeX with a font that has them: {beyond}")
    lines = told
    for number, part in enumerate(parts):
        about = _formulas(caption) if number == 0 else f"Continued from part {number} of {len(parts)}."
        lines += [f"\\begin{{{environment}}}[tbp]", r"  \centering"]
        lines += [r"  \setlength{\belowcaptionskip}{6pt}"]
        lines += [r"  \addtocounter{table}{-1}"] if number else []
        lines += [f"  \\caption{{{about}}}"] + ([] if number else [f"  \\label{{tab:{label}}}"])
        lines += [r"  \setlength{\tabcolsep}{4pt}"] if width > _PAGE else []
        lines += [
            r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            f"  \\begin{{tabular}}{{{''.join('r' if each else 'l' for each in numeric)}}}",
            r"    \toprule",
            *(f"    {_row(map(_plain if networks else _formulas, head))}" for head in heads),
            r"    \midrule",
            *(f"    {row}" for row in _rows(part, numeric, header[0] == "network", repeated)),
            r"    \bottomrule",
            r"  \end{tabular}}",
            f"\\end{{{environment}}}",
        ]
    return "\n".join([*lines, ""])


def _plain(text: str) -> str:
    # As pdflatex prints it, in one line.
    return _SIGN.sub(lambda match: _SIGNS[match[0]], printable(" ".join(text.split())))


def _formulas(text: str) -> str:
    # Likewise, with losses, powers, Greek letters, ranges and minus signs as papers set them.
    return _PIECE.sub(_piece, printable(" ".join(text.split())))


def _piece(match: re.Match[str]) -> str:
    for pattern, template in _FORMULAS:
        if found := pattern.match(match.string, match.start()):
            return found.expand(template)
    return _SIGNS[match[0]]


def _strange(character: str) -> bool:
    return (ord(character) > _KNOWN or character in _LACKING) and character not in _SIGNS


def _heads(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[list[str]]:
    # Heads that are wider than what stands below go over several lines, without a word being broken.
    columns = []
    for at, head in enumerate(header):
        widest = max([len(row[at]) for row in body] + [len(word) for word in head.split()] + [_HEAD])
        columns.append(textwrap.wrap(head, widest, break_long_words=False, break_on_hyphens=False))
    high = max(map(len, columns))
    return [list(line) for line in zip(*([""] * (high - len(each)) + each for each in columns), strict=True)]


def _rows(body: Sequence[Sequence[str]], numeric: Sequence[bool], named: bool, repeated: bool) -> list[str]:
    lines = []
    for number, (_, group) in enumerate(groupby(body, key=lambda row: row[0] if repeated else "")):
        lines += [r"\addlinespace"] if number else []
        for place, (name, *others) in enumerate(group):
            first = "" if repeated and place else (_plain if named else _formulas)(name)
            texts = [_number(c) if n else _formulas(c) for c, n in zip(others, numeric[1:], strict=True)]
            lines.append(_row([first, *texts]))
    return lines


def _row(cells: "Sequence[str] | map[str]") -> str:
    first, *others = cells
    # After a line's end LaTeX takes a bracket or a star as an argument.
    return " & ".join(["{" + first[0] + "}" + first[1:] if first[:1] in ("[", "*") else first, *others]) + r" \\"


def _number(text: str) -> str:
    if text == NO_NUMBER:
        return "--"
    return _POWER.sub(_power, _SIGN_OF_NUMBER.sub(r"$\1$", text)).replace("±", r"$\pm$")


def _power(match: re.Match[str]) -> str:
    return rf"$\times 10^{{{match[1].strip('+')}{match[2]}}}$"
