// The selection: the same nodes in all views, and where to go from them.

/** Makes a selection of nodes, and finds the box for it in the current view. */
function choose(nodes, { main = nodes.at(-1) ?? null, box = null, frame = null } = {}) {
    const found = app.current.model?.byNode;
    const boxes = box !== null || !found ? [] : [main, ...nodes].flatMap((node) => found.get(node) ?? []);
    const own = boxes.find((i) => (app.current.model.boxes[i].like ?? null) === null) ?? boxes[0];
    app.selection = { nodes, main, box: box ?? own ?? null, frame };
}

app.selectBox = (i, { centre = false, side = "details" } = {}) => {
    const { model } = app.current;
    if (!model.boxes[i]) return;
    choose(model.boxes[i].nodes ?? [], { box: i });
    app.side = side;
    if (centre) reach(i);
    else showSelection(false);
    refresh();
};

app.selectFrame = (i, centre = false) => {
    app.selection = { nodes: [], main: null, box: null, frame: i };
    app.side = "details";
    const part = app.current.drawing?.parts.get(`f${i}`);
    if (centre && !part) {
        const open = new Set([...app.current.open, ...chain(app.current.model, app.current.model.frames[i].parent)]);
        redraw(app.current, open, app.current.unfolded, { then: () => showSelection(true) });
    } else {
        showSelection(centre);
    }
    refresh();
};

app.selectPart = (id, isFocused = true) => {
    if (id[0] === "n") app.selectBox(Number(id.slice(1)));
    else app.selectFrame(Number(id.slice(1)));
    const part = app.current.drawing?.parts.get(id);
    if (!part || !isFocused) return;
    part.focus({ preventScroll: true });
    stage.reveal(part);
};

app.goToNode = (node, side = "details") => {
    choose([node]);
    app.side = side;
    if (app.selection.box !== null) reach(app.selection.box);
    else showSelection(true);
    refresh();
};

app.goTo = (id) =>
    id[0] === "n" ? app.selectBox(Number(id.slice(1)), { centre: true }) : app.selectFrame(Number(id.slice(1)), true);

/** Centres a box, opening what hides it. */
function reach(box) {
    const { model, open, unfolded } = app.current;
    const next = opened(model, open, unfolded, box);
    const show = () => showSelection(true, true);
    if (same(next, open) && app.current.drawing) show();
    else redraw(app.current, next, unfolded, { then: show });
}

app.selectedFrame = () => {
    if (!app.selection || !app.current.model) return null;
    if (app.selection.frame !== null) return app.selection.frame;
    const id = app.focused();
    return id?.[0] === "f" ? Number(id.slice(1)) : null;
};

/** The id of the part that is selected, as far as it is visible. */
app.focused = () => {
    const { selection, current } = app;
    if (!selection || !current.drawing?.seen) return null;
    const id = selection.frame !== null ? `f${selection.frame}` : current.drawing.seen.stands[selection.box];
    return id !== undefined && current.drawing.parts.has(id) ? id : null;
};

app.selectFirst = () => {
    const id = app.current.drawing?.seen?.shown[0];
    if (id) app.selectPart(idOf(id));
};

app.selectAround = () => {
    const id = app.focused();
    if (id === null) return;
    const i = Number(id.slice(1));
    const around = (id[0] === "n" ? app.current.model.boxes[i].frame : app.current.model.frames[i].parent) ?? null;
    if (around !== null) app.selectPart(`f${around}`);
};

app.selectInside = (id) => {
    const { seen } = app.current.drawing;
    const k = seen.around.indexOf(Number(id.slice(1)));
    const frame = seen.frames.find((i) => app.current.model.frames[i].parent === Number(id.slice(1)));
    if (k >= 0) app.selectPart(idOf(seen.shown[k]));
    else if (frame !== undefined) app.selectPart(`f${frame}`);
};

app.goToPartner = () => {
    const { forward, backward: back } = partnersOf(record, backward, app.selection?.nodes ?? []);
    const all = [...forward, ...back];
    const here = all.find((node) => app.current.model?.byNode.has(node)) ?? all[0];
    if (here === undefined) return;
    if (!app.current.model?.byNode.has(here)) {
        const k = views.findIndex((each) => each.model?.byNode.has(here));
        if (k >= 0) app.openView(k);
    }
    app.goToNode(here);
};

function selectNothing() {
    app.selection = null;
    showSelection(false);
    refresh();
}

/** Marks what is selected: the boxes, the closed frames that hide some, partners, and the arrows at the box. */
function showSelection(isCentred, isFocused = false) {
    for (const [part, name] of touched) part.classList.remove(name);
    touched = [];
    const { current, selection } = app;
    const touch = (part, name) => {
        if (!part) return;
        part.classList.add(name);
        touched.push([part, name]);
    };
    const { drawing, model } = current;
    if (!drawing || current.isTable) return;
    for (const part of drawing.svg.querySelectorAll("[tabindex='0']")) part.setAttribute("tabindex", "-1");
    if (!model) {
        for (const node of selection?.nodes ?? []) {
            for (const id of current.marked.get(node) ?? [])
                touch(drawing.svg.querySelector(`[id="${CSS.escape(id)}"]`), "selected");
        }
        return;
    }
    const { stands, arrows, shown } = drawing.seen;
    const id = app.focused();
    const main = drawing.parts.get(id) ?? null;
    (main ?? drawing.parts.get(shown[0] && idOf(shown[0])))?.setAttribute("tabindex", "0");
    if (!selection) return;
    const mark = (nodes, name) => {
        for (const box of new Set(nodes.flatMap((node) => model.byNode.get(node) ?? []))) {
            const part = drawing.parts.get(stands[box]);
            touch(part, stands[box][0] === "f" ? (name === "selected" ? "holds" : name) : name);
        }
    };
    mark(selection.nodes, "selected");
    if (main) touch(main, selection.frame === null && id[0] === "f" ? "holds" : "selected");
    const { forward, backward: back } = partnersOf(record, backward, selection.nodes);
    mark([...forward, ...back], "partner");
    if (id !== null) {
        for (const arrow of arrows) {
            const name = arrow.head === id ? "operand" : arrow.tail === id ? "user" : null;
            if (name) for (const part of drawing.arrows.get(arrow.members[0]) ?? []) touch(part, name);
        }
    }
    if (isCentred && main) stage.centre(main);
    if (isFocused && main && [document.body, byId("find")].includes(document.activeElement))
        main.focus({ preventScroll: true });
}
