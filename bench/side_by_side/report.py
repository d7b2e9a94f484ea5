"""Tables, in Markdown that reads well on a terminal too."""

from statistics import median

# The figures of a peer are uneven, and worth another run, if their median is further than this above their minimum.
UNEVEN = 1.10


def load_table(results):
    """`results`: scenario → name → rounds."""
    figures = ["requests/s", "CPU µs/request (min)", "× bare", "× nginx", "p50 µs", "p99 µs", "waited", "rounds"]
    rows = [["scenario", "proxy", *figures]]
    for scenario, rounds in results.items():
        for name, of in rounds.items():
            rows.append([scenario, name, *_figures(of, rounds)])
    return _table(rows)


def _figures(of, rounds):
    good = [one for one in of if not one.void]
    counted = f"{len(good)}" if len(good) == len(of) else f"{len(good)}, {len(of) - len(good)} void"
    if not good:
        return ["–"] * 7 + [counted]
    cpu = [one.cpu_us for one in good]
    if median(cpu) > UNEVEN * min(cpu):
        counted += ", uneven"
    return [
        f"{median(one.rate for one in good):,.0f}",
        f"{median(cpu):.1f} ({min(cpu):.1f})",
        _ratio(of, rounds.get("bare")),
        _ratio(of, rounds.get("nginx")),
        _or_dash([one.p50 for one in good]),
        _or_dash([one.p99 for one in good]),
        f"{median(one.waited for one in good):.0%}",
        counted,
    ]


def _ratio(of, to):
    """The median of the ratios within each round, which the machine's good and bad seconds leave alone."""
    ratios = [one.cpu_us / other.cpu_us for one, other in zip(of, to or []) if not (one.void or other.void)]
    return _times(median(ratios)) if ratios else "–"


def _times(ratio):
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"


def _or_dash(values):
    return "–" if None in values else f"{median(values):,.0f}"


def instruction_table(counts):
    """`counts`: name → user instructions per request."""
    rows = [["proxy", "user instructions/request", "× bare", "× nginx"]]
    for name, count in counts.items():
        ratios = [_times(count / counts[to]) if to in counts else "–" for to in ("bare", "nginx")]
        rows.append([name, f"{count:,.0f}", *ratios])
    return _table(rows)


def _table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row):
        # Words to the left, figures to the right.
        words = rows[0].index("proxy") + 1
        pairs = list(zip(row, widths))
        cells = [cell.ljust(width) for cell, width in pairs[:words]]
        cells += [cell.rjust(width) for cell, width in pairs[words:]]
        return f"| {' | '.join(cells)} |"

    rule = ["-" * width for width in widths]
    return "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])


def document(title, facts, command, sections):
    """`facts`: lines of (what, value); `sections`: (heading, text, table)."""
    lines = [f"# {title}", "", *(f"- {what}: {value}" for what, value in facts), f"- Command: `{command}`"]
    for heading, text, table in sections:
        lines += ["", f"## {heading}", "", text, "", table]
    return "\n".join(lines) + "\n"
