// The keyboard: along arrows from box to box, and a letter for whatever the pointer can do.

const KEYS = [
    ["/", "search"],
    ["↑ ↓", "from the selected box to an operand, to a user"],
    ["← →", "to the box beside it"],
    ["Enter, Space", "open or close the module; for a box, go to the panel"],
    ["Shift+Enter", "open all that is in the module (also Shift+click)"],
    ["u", "to the module around it"],
    ["g", "to its gradient, or from a gradient to what it is of"],
    ["r", "one or all repetitions of the block"],
    ["[ ]", "previous, next view"],
    ["+ − 0 f", "zoom in, out, true size, fit"],
    ["Shift+arrows", "move the drawing"],
    ["p, t", "panel, light or dark"],
    ["Esc", "close, or select nothing"],
];

function listen(app, stage) {
    const place = byId("stage");
    const isInStage = () =>
        [document.body, place].includes(document.activeElement) || place.contains(document.activeElement);

    document.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
        if (byId("about").open || event.target.closest("input, select, textarea")) return;
        const act = action(event);
        if (!act) return;
        event.preventDefault();
        act();
    });

    const action = (event) => {
        const direction = event.key.startsWith("Arrow") ? event.key.slice(5).toLowerCase() : null;
        if (direction) {
            if (!isInStage()) return null;
            if (event.shiftKey)
                return () => stage.move(...{ up: [0, 80], down: [0, -80], left: [80, 0], right: [-80, 0] }[direction]);
            return () => walk(app, direction);
        }
        if (event.key === "Enter" || event.key === " ")
            return isInStage() && app.selection ? () => enter(event.shiftKey) : null;
        const frame = app.selectedFrame();
        return {
            "/": () => byId("find").focus(),
            "?": () => app.showHelp(),
            "+": () => stage.zoom(1.25),
            "=": () => stage.zoom(1.25),
            "-": () => stage.zoom(0.8),
            0: () => stage.trueSize(),
            f: () => stage.fit(),
            u: () => app.selectAround(),
            g: () => app.goToPartner(),
            r: frame !== null && app.current.model.frames[frame].kind === "repeat" ? () => app.unfold(frame) : null,
            "[": () => app.openBeside(-1),
            "]": () => app.openBeside(1),
            p: () => app.togglePanel(),
            t: () => app.toggleTheme(),
            Escape: () => app.escape(),
        }[event.key];
    };

    const enter = (isAll) => {
        const frame = app.selectedFrame();
        if (frame === null) byId("facts").focus();
        else if (isAll) app.openBelow(frame);
        else app.toggle(frame);
    };
}

/** To the next box in a direction: along an arrow with the flow or against it, or beside it. */
function walk(app, direction) {
    const { drawing, model } = app.current;
    if (!drawing || !model) return;
    const id = app.focused();
    if (id === null) return app.selectFirst();
    const isAcross = app.record.direction === "LR";
    const along = isAcross ? { left: "up", right: "down", up: "left", down: "right" }[direction] : direction;
    const place = placeOf(drawing.parts.get(id));
    const centre = (box) => [box.left + box.width / 2, box.top + box.height / 2];
    const [x, y] = centre(place);
    const nearest = (ids, cost) => {
        let best = null;
        for (const each of new Set(ids)) {
            const part = drawing.parts.get(each);
            if (!part || each === id) continue;
            const [px, py] = centre(placeOf(part));
            const value = cost(px - x, py - y);
            if (value !== null && (best === null || value < best.value)) best = { id: each, value };
        }
        if (best) app.selectPart(best.id);
    };
    if (along === "up" || along === "down") {
        if (id[0] === "f" && drawing.parts.get(id).classList.contains("cluster")) {
            return along === "up" ? app.selectAround() : app.selectInside(id);
        }
        const [from, to] = along === "up" ? ["head", "tail"] : ["tail", "head"];
        return nearest(
            drawing.seen.arrows.filter((each) => each[from] === id).map((each) => each[to]),
            (dx, dy) => Math.hypot(dx, dy),
        );
    }
    const sign = along === "left" ? -1 : 1;
    const isOpen = drawing.parts.get(id).classList.contains("cluster");
    const beside = [...drawing.parts]
        .filter(([, part]) => part.classList.contains("cluster") === isOpen)
        .map(([each]) => each);
    return nearest(beside, (dx, dy) => {
        const [ahead, aside] = isAcross ? [dy * sign, Math.abs(dx)] : [dx * sign, Math.abs(dy)];
        return ahead > 1 && aside < Math.max(ahead * 1.5, 30) ? ahead + 3 * aside : null;
    });
}

/** The dialog with the keys, what the page is, and the licences of what is in it. */
function fillHelp(dialog, licenses) {
    const close = button("Close", () => dialog.close(), { autofocus: true });
    dialog.replaceChildren(
        ...[
            element("h2", {}, "Keys"),
            element(
                "dl",
                { class: "keys" },
                KEYS.flatMap(([keys, text]) => [element("dt", {}, element("kbd", {}, keys)), element("dd", {}, text)]),
            ),
            element("p", {}, "Drag to move, turn the wheel to zoom. Click a module's title to close or open it."),
            element("h2", {}, "About"),
            element(
                "p",
                {},
                "Made by graphc-viz. The page is one file: it loads nothing, sends nothing, and needs no network.",
            ),
            licenses
                ? element(
                      "details",
                      {},
                      element("summary", {}, "Licences of the layout engine in this page"),
                      element("pre", {}, licenses),
                  )
                : null,
            close,
        ].filter(Boolean),
    );
}
