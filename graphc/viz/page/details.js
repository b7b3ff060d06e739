// The panel: what is known about the selected box or frame, and where it leads.

const MOST_LINKS = 24;

function nodeLabel(record, node) {
    const { label, names } = record.nodes[node];
    const name = Object.values(names ?? {})[0];
    return name ? `${name} ${label}` : label;
}

/** The first line that says what a box is, for lists. */
const boxLabel = (box) => (box.lines ?? []).filter(Boolean).join(" · ") || "box";

/** What is measured of a box: of the node of it that has the largest share. */
function heatOf(overlay, nodes) {
    let best = null;
    for (const node of nodes ?? []) {
        const heat = overlay?.nodes?.[node];
        if (heat && (best === null || heat.share > best.share)) best = heat;
    }
    return best;
}

function kindText(view, kind) {
    const entry = (view.legend ?? []).find((each) => each.kind === kind);
    return entry ? entry.text : String(kind ?? "").replaceAll("_", " ");
}

/** Facts as a list of terms; empty ones are left out. */
function facts(pairs) {
    const kept = pairs.filter(([, value]) => value && (!Array.isArray(value) || value.length));
    return element(
        "dl",
        {},
        kept.flatMap(([term, value]) => [element("dt", {}, term), element("dd", {}, value)]),
    );
}

function section(title, items) {
    if (!items.length) return null;
    const list = element("ul", { class: "links" }, items.slice(0, MOST_LINKS));
    const rest = items.length - MOST_LINKS;
    if (rest > 0) {
        const more = link(`… and ${rest.toLocaleString("en")} more`, () => {
            list.append(...items.slice(MOST_LINKS));
            more.remove();
        });
        return element("section", {}, element("h3", {}, title), list, more);
    }
    return element("section", {}, element("h3", {}, title), list);
}

function detailsOf(app) {
    const { selection, current } = app;
    if (selection === null) return overview(app);
    if (selection.frame !== null) return frameDetails(app, current.model, selection.frame);
    return selection.box === null ? elsewhere(app) : boxDetails(app, current.model, selection.box);
}

function overview(app) {
    const { record, current } = app;
    const { model, view } = current;
    const parts = model
        ? [counted(model.boxes.length, "box", "boxes"), counted(model.arrows.length, "arrow", "arrows")]
        : [];
    return [
        element("h2", {}, view.title),
        element("p", { class: "soft" }, parts.join(", ")),
        element(
            "ul",
            { class: "totals" },
            (record.summary ?? []).map((line) => element("li", {}, line)),
        ),
        (view.caption ?? []).map((line) => element("p", { class: "caption" }, line)),
        element(
            "p",
            { class: "hint" },
            "Select a box to see what it is, where it was built and what it was compiled to. ",
            link("Keys", () => app.showHelp()),
        ),
    ].flat();
}

/** A node that has no box in the current view: it may be marked in a chart. */
function elsewhere(app) {
    const { record, selection, current } = app;
    const isMarked = selection.nodes.some((node) => current.marked.has(node));
    return [
        element("h2", {}, record.nodes[selection.main]?.label ?? "node"),
        isMarked ? null : element("p", { class: "soft" }, `Not in ${current.view.title}.`),
        nodeFacts(app, selection.nodes),
        otherViews(app, selection.nodes),
    ]
        .flat()
        .filter(Boolean);
}

function path(app, model, frame) {
    const frames = [...chain(model, frame)].reverse();
    return frames.flatMap((i, k) => [k ? " › " : null, link(model.frames[i].title, () => app.selectFrame(i, true))]);
}

function nodeFacts(app, nodes) {
    const { record } = app;
    const titles = new Map(record.views.map((view) => [view.name, view.title]));
    const known = nodes.filter((node) => record.nodes[node]);
    const one = (node) => {
        const { label, type, where, module, names } = record.nodes[node];
        const called = Object.entries(names ?? {}).map(([view, name]) => `${name} in ${titles.get(view) ?? view}`);
        const measured = (record.overlays ?? []).flatMap((overlay) => {
            const heat = overlay.nodes?.[node];
            return heat
                ? [[overlay.title, `${heat.text}${heat.share > 0 ? ` · ${percent(heat.share)} of the largest` : ""}`]]
                : [];
        });
        return [
            known.length > 1 ? element("h3", {}, label) : null,
            facts([
                ["Type", type],
                ["Module", module],
                ["Built at", where],
                ["Printed as", called.join(", ")],
                ...measured,
            ]),
        ];
    };
    return known.slice(0, 12).flatMap(one);
}

const percent = (share) => `${share > 0 && share < 0.01 ? "<1" : Math.round(share * 100)}%`;

function boxDetails(app, model, i) {
    const { record } = app;
    const box = model.boxes[i];
    const nodes = box.nodes ?? [];
    const notes = (box.tooltip ?? []).filter(
        (line) => line && !box.lines.includes(line) && !isSaid(record, nodes, line),
    );
    const end = (arrow, which) => {
        const other = model.boxes[arrow[which]];
        return element(
            "li",
            {},
            link(boxLabel(other), () => app.selectBox(arrow[which], { centre: true })),
            element("span", { class: "soft" }, [arrow.mark, arrow.label].filter(Boolean).join(": ")),
        );
    };
    const partners = partnersOf(record, app.backward, nodes);
    const like = box.like ?? null;
    return [
        element("h2", { class: "mono" }, box.lines[0] ?? ""),
        element(
            "p",
            { class: "soft" },
            [kindText(app.current.view, box.kind), ...box.lines.slice(1)].join(" · "),
            box.change && box.change !== "same"
                ? element("span", { class: `tag ${classOf(box.change)}` }, box.change)
                : null,
        ),
        box.frame === null || box.frame === undefined
            ? null
            : element("p", { class: "path" }, path(app, model, box.frame)),
        ...nodeFacts(app, nodes),
        notes.length
            ? element(
                  "ul",
                  { class: "notes" },
                  notes.map((line) => element("li", {}, line)),
              )
            : null,
        like === null
            ? null
            : element(
                  "p",
                  { class: "soft" },
                  "A repetition of ",
                  link(boxLabel(model.boxes[like]), () => app.selectBox(like, { centre: true })),
              ),
        section(
            "Gradient",
            partners.backward.map((node) => nodeItem(app, node)),
        ),
        section(
            "Gradient of",
            partners.forward.map((node) => nodeItem(app, node)),
        ),
        section(
            "Operands",
            model.into[i].map((k) => end(model.arrows[k], "tail")),
        ),
        section(
            "Used by",
            model.from[i].map((k) => end(model.arrows[k], "head")),
        ),
        otherViews(app, nodes),
    ]
        .flat()
        .filter(Boolean);
}

/** Whether a line of a tooltip says what stands among the facts anyway. */
function isSaid(record, nodes, line) {
    return nodes.some((node) => {
        const { label, type, where, module } = record.nodes[node] ?? {};
        return [label, type, where, module, `in ${module}`].includes(line) || line.endsWith(`: ${type}`);
    });
}

function nodeItem(app, node) {
    return element(
        "li",
        {},
        link(nodeLabel(app.record, node), () => app.goToNode(node)),
        element("span", { class: "soft" }, app.record.nodes[node].type ?? ""),
    );
}

/** The nodes that `nodes` are gradients of, and those that are gradients of them. */
function partnersOf(record, backward, nodes) {
    const forward = nodes.map((node) => record.nodes[node]?.forward ?? null).filter((node) => node !== null);
    const back = nodes.flatMap((node) => backward.get(node) ?? []);
    return { forward: [...new Set(forward)], backward: [...new Set(back)] };
}

function otherViews(app, nodes) {
    const items = app.views.flatMap((each, k) => {
        if (each === app.current) return [];
        const shows = nodes.some((node) => each.model?.byNode.has(node) || each.marked?.has(node));
        return shows
            ? [
                  element(
                      "li",
                      {},
                      link(each.view.title, () => app.openView(k)),
                  ),
              ]
            : [];
    });
    return section("Also in", items);
}

function frameDetails(app, model, i) {
    const { record } = app;
    const frame = model.frames[i];
    const { open, unfolded } = app.current;
    const isOpen = open.has(i);
    const inside = below(model, i).flatMap((each) => model.inside[each]);
    const heats = (record.overlays ?? []).map((overlay) => [overlay.title, frameHeat(overlay, frame, false)?.text]);
    const calls = frame.calls > 1 ? counted(frame.calls, "call", "calls") : "";
    return [
        element("h2", {}, frame.title),
        element(
            "p",
            { class: "soft" },
            [kindText(app.current.view, frame.kind), calls, frame.contents].filter(Boolean).join(" · "),
        ),
        frame.parent === null || frame.parent === undefined
            ? null
            : element("p", { class: "path" }, path(app, model, frame.parent)),
        element(
            "p",
            { class: "actions" },
            button(isOpen ? "Close" : "Open", () => app.toggle(i)),
            button("Open all of it", () => app.openBelow(i)),
            frame.kind === "repeat" && isOpen
                ? button(unfolded.has(i) ? "Show one repetition" : `Show all ${frame.times} repetitions`, () =>
                      app.unfold(i),
                  )
                : null,
        ),
        facts([["Module", frame.path], ["Boxes", inside.length.toLocaleString("en")], ...heats]),
        frame.tooltip?.length
            ? element(
                  "ul",
                  { class: "notes" },
                  frame.tooltip.map((line) => element("li", {}, line)),
              )
            : null,
        section(
            "Modules inside",
            model.children[i].map((each) =>
                element(
                    "li",
                    {},
                    link(model.frames[each].title, () => app.selectFrame(each, true)),
                    element("span", { class: "soft" }, model.frames[each].contents ?? ""),
                ),
            ),
        ),
        section(
            "Boxes inside",
            model.inside[i].map((each) =>
                element(
                    "li",
                    {},
                    link(boxLabel(model.boxes[each]), () => app.selectBox(each, { centre: true })),
                ),
            ),
        ),
    ]
        .flat()
        .filter(Boolean);
}
