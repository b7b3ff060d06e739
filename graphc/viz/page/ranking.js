// Overlays: boxes coloured by what was measured, and the same as a table from the largest on.

const STEPS = 9;
const MOST_ROWS = 500;

/** The class of a share: nothing, or one of the steps of the ramp. */
const stepOf = (share) => Math.min(STEPS - 1, Math.max(0, Math.ceil(share * STEPS) - 1));

/** Colours boxes and closed frames by their share, and says the value in their tooltips; `null` takes it all back. */
function paint(drawing, model, overlay) {
    drawing.svg.classList.toggle("heated", overlay !== null);
    for (const [id, part] of drawing.parts) {
        part.classList.remove("measured", ...Array.from({ length: STEPS }, (_, step) => `heat-${step}`));
        const [heat, text] = (overlay && heatOfPart(model, overlay, id, part)) ?? [null, ""];
        if (heat) part.classList.add("measured", `heat-${stepOf(heat.share)}`);
        tell(part, text);
    }
}

/** A value and its text: a box's own, a closed frame's, and that of a kernel. */
function heatOfPart(model, overlay, id, part) {
    const i = Number(id.slice(1));
    const frame = id[0] === "f" ? model.frames[i] : null;
    const isOpen = part.classList.contains("cluster");
    const heat = frame === null ? heatOf(overlay, model.boxes[i]?.nodes) : frameHeat(overlay, frame, isOpen);
    return heat && [heat, `${overlay.title}: ${heat.text}`];
}

function frameHeat(overlay, frame, isOpen) {
    if (isOpen && (frame.kernel ?? null) === null) return null;
    return frame.heat?.[overlay.name] ?? overlay.kernels?.[frame.kernel] ?? null;
}

/** Puts a line before the tooltip of a part. */
function tell(part, text) {
    let title = part.querySelector(":scope > title, :scope > g[id^=a_] title");
    if (!title && !text) return;
    if (!title) part.prepend((title = drawn("title")));
    title.dataset.own ??= title.textContent;
    title.textContent = [text, title.dataset.own].filter(Boolean).join("\n");
    if (!title.textContent) title.remove();
}

/** The rows of an overlay; those of a kernel name all its nodes, and a click goes to the first. */
function rowsOf(record, overlay) {
    return (overlay.rows ?? []).map((row) => ({
        what: row.what,
        place: [row.module, row.where].filter(Boolean).join(" · "),
        cells: [row.value, row.share === null ? "" : percent(row.share)],
        node: row.nodes?.find((node) => record.nodes[node]) ?? null,
        note: row.text ?? "",
    }));
}

function rankingOf(app) {
    const { record, overlay } = app;
    const rows = rowsOf(record, overlay);
    const heads = ["", "value", "share"];
    const chosen = new Set(app.selection?.nodes ?? []);
    const line = ({ what, place, cells, node, note }) => {
        const go = () => app.goToNode(node, "ranking");
        const name = node === null ? what : link(what, go);
        return element(
            "tr",
            { class: node !== null && chosen.has(node) ? "chosen" : null, title: note || null },
            element("th", { scope: "row" }, name, element("span", { class: "soft" }, place)),
            cells.map((cell) => element("td", {}, cell)),
        );
    };
    const body = element("tbody", {}, rows.slice(0, MOST_ROWS).map(line));
    body.addEventListener("click", (event) => {
        const row = event.target.closest("tr");
        if (row && !event.target.closest("button")) row.querySelector("button")?.click();
    });
    const ramp = Array.from({ length: STEPS }, (_, i) => element("i", { class: `ramp-${i}` }));
    return [
        element("h2", {}, overlay.title, overlay.unit ? element("span", { class: "soft" }, ` ${overlay.unit}`) : null),
        element("div", { class: "ramp" }, element("span", {}, "0"), ramp, element("span", {}, "largest")),
        (overlay.notes ?? []).map((note) => element("p", { class: "soft" }, note)),
        rows.length === 0 ? element("p", { class: "soft" }, "Nothing was measured.") : null,
        element(
            "table",
            { class: "ranking" },
            element(
                "thead",
                {},
                element(
                    "tr",
                    {},
                    heads.map((head) => element("th", { scope: "col" }, head)),
                ),
            ),
            body,
        ),
        rows.length > MOST_ROWS
            ? element("p", { class: "soft" }, `… and ${counted(rows.length - MOST_ROWS, "row", "rows")} more`)
            : null,
    ]
        .flat()
        .filter(Boolean);
}

/** What the passes did, as a table. */
function passesOf(passes) {
    const milliseconds = (seconds) => `${(seconds * 1000).toFixed(seconds < 0.001 ? 3 : 1)} ms`;
    const heads = ["", "pass", "time", "nodes before", "after", "added", "removed", "rewritten", ""];
    const rules = (each) =>
        [each.note, ...Object.entries(each.rules ?? {}).map(([name, times]) => `${name} ×${times}`)]
            .filter(Boolean)
            .join(", ");
    const line = (each, i) =>
        element(
            "tr",
            { class: each.added || each.removed || each.rewritten ? null : "idle" },
            element("td", { class: "number" }, String(i + 1)),
            element("th", { scope: "row" }, each.name),
            [
                milliseconds(each.seconds ?? 0),
                ...(each.nodes ? [...each.nodes, each.added, each.removed, each.rewritten] : ["", "", "", "", ""]),
            ].map((cell) =>
                element(
                    "td",
                    { class: "number" },
                    typeof cell === "number" ? cell.toLocaleString("en") : String(cell ?? ""),
                ),
            ),
            element("td", { class: "rules" }, rules(each)),
        );
    return element(
        "table",
        { class: "passes" },
        element("caption", {}, "What each pass did, in order"),
        element(
            "thead",
            {},
            element(
                "tr",
                {},
                heads.map((head) => element("th", { scope: "col" }, head)),
            ),
        ),
        element("tbody", {}, passes.map(line)),
    );
}
