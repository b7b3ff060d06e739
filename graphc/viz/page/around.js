// Around the drawing: the panel, the legend, depths, messages, overlay and theme.

/** Everything that follows from the state, apart from the drawing itself. */
function refresh() {
    fillDepths();
    fillPanel();
    remember();
}

function fillPanel() {
    const isRanking = app.side === "ranking" && app.overlay !== null;
    const tab = (side, title) =>
        button(
            title,
            () => {
                app.side = side;
                fillPanel();
            },
            { role: "tab", "aria-selected": String((side === "ranking") === isRanking) },
        );
    const tabs =
        app.overlay === null
            ? []
            : [
                  element(
                      "div",
                      { class: "tabs", role: "tablist", "aria-label": "Panel" },
                      tab("details", "Details"),
                      tab("ranking", "Ranking"),
                  ),
              ];
    byId("facts").replaceChildren(...tabs, ...(isRanking ? rankingOf(app) : detailsOf(app)));
    if (!isRanking) byId("facts").scrollTop = 0;
    byId("facts").querySelector("tr.chosen")?.scrollIntoView({ block: "nearest" });
    const { selection, current } = app;
    const frames =
        selection && current.model
            ? [...chain(current.model, selection.frame ?? current.model.boxes[selection.box]?.frame)].map(
                  (i) => current.model.frames[i],
              )
            : [];
    const kernel = frames.find((frame) => (frame.kernel ?? null) !== null)?.kernel ?? null;
    pane.show(selection?.nodes ?? [], kernel);
}

function fillDepths() {
    const { model, open } = app.current;
    const place = byId("depths");
    place.hidden = !model?.frames.length;
    if (place.hidden) return place.replaceChildren();
    const most = deepest(model);
    const depths = [...Array(Math.min(most, MOST_DEPTHS)).keys(), null];
    const title = (depth) =>
        depth === null ? "Open all modules" : depth === 0 ? "Close all modules" : `Open ${depth} deep`;
    const isOpen = (depth) =>
        depth === null ? open.size === model.frames.length : same(open, openToDepth(model, depth));
    return place.replaceChildren(
        element("span", {}, "Modules"),
        ...depths.map((depth) =>
            button(depth === null ? "All" : String(depth), () => openDepth(depth), {
                title: title(depth),
                "aria-label": title(depth),
                "aria-pressed": String(isOpen(depth)),
            }),
        ),
    );
}

/** The legend, each entry in the colours of a box or a frame of its kind. */
function fillFoot() {
    const { view, model } = app.current;
    const items = (view.legend ?? []).map((entry) =>
        element("span", { class: "entry" }, swatch(model, entry), entry.text),
    );
    byId("foot").replaceChildren(...items);
    byId("foot").hidden = items.length === 0;
}

function swatch(model, { kind, of: what }) {
    const isFrame = what === "frame";
    const of = isFrame
        ? model?.frames.find((each) => each.kind === kind)
        : model?.boxes.find((each) => each.kind === kind);
    const change = what === "change" ? kind : "";
    const shape =
        !isFrame && /\bshape="?cylinder/.test(of?.dot ?? "")
            ? [
                  drawn("path", { d: "M1,3.5 C1,0.5 19,0.5 19,3.5 V10.5 C19,13.5 1,13.5 1,10.5 Z" }),
                  drawn("path", { d: "M1,3.5 C1,6.5 19,6.5 19,3.5", fill: "none" }),
              ]
            : [drawn("path", { d: "M4,1 H16 Q19,1 19,4 V10 Q19,13 16,13 H4 Q1,13 1,10 V4 Q1,1 4,1 Z" })];
    const name = of ? `${isFrame ? "cluster" : "node"} ${classOf(kind)}` : `node ${classOf(change)}`;
    return drawn(
        "svg",
        { class: "coloured", width: 20, height: 14, "aria-hidden": "true" },
        drawn("g", { class: name }, shape),
    );
}

function say(text, choices = []) {
    const place = byId("message");
    place.replaceChildren(element("span", {}, text), ...choices.map(([name, act]) => button(name, act)));
    place.hidden = false;
}

function hideMessage() {
    byId("message").hidden = true;
}

function setOverlay(name) {
    app.overlay = (record.overlays ?? []).find((each) => each.name === name) ?? null;
    byId("overlay").value = app.overlay?.name ?? "";
    app.side = app.overlay ? "ranking" : "details";
    if (app.current?.drawing && app.current.model) paint(app.current.drawing, app.current.model, app.overlay);
}

app.showHelp = () => {
    if (!byId("about").open) byId("about").showModal();
};

app.escape = () => {
    if (!byId("message").hidden && running && document.body.hasAttribute("aria-busy")) running.abort();
    else if (!byId("message").hidden) hideMessage();
    else if (app.selection) selectNothing();
};

app.togglePanel = () => {
    const isShown = document.body.classList.toggle("alone");
    byId("sides").setAttribute("aria-pressed", String(!isShown));
};

function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    byId("theme").textContent = theme === "dark" ? "☀" : "☾";
}

app.toggleTheme = () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    setTheme(theme);
    try {
        localStorage.setItem("graphc-viz-theme", theme);
    } catch {
        // Some browsers keep nothing for files; the theme is then that of the system.
    }
};
