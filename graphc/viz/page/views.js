// Views: which one is shown, how it gets its drawing, and opening and closing its frames.

app.openView = (k) => {
    const next = views[k];
    if (!next || next === app.current) return;
    running?.abort();
    hideMessage();
    if (app.current?.drawing) app.current.where = { ...stage.at };
    app.current = next;
    [...byId("tabs").children].forEach((tab, i) => {
        tab.setAttribute("aria-selected", String(i === k));
        tab.tabIndex = i === k ? 0 : -1;
    });
    byId("stage").hidden = Boolean(next.isTable);
    byId("stage").classList.toggle("chart", !next.model);
    byId("table").hidden = !next.isTable;
    byId("zoom").hidden = Boolean(next.isTable);
    byId("stage").setAttribute("aria-label", next.view.title);
    if (app.selection) choose(app.selection.nodes, { main: app.selection.main });
    fillFoot();
    if (next.isTable) byId("table").replaceChildren(passesOf(record.passes));
    else if (next.drawing) display(next, next.where);
    else drawFirst(next);
    if (app.selection) showSelection(true);
    refresh();
};

app.openBeside = (step) => app.openView((views.indexOf(app.current) + step + views.length) % views.length);

/** The drawing that came with the page, or a layout of as much as can be seen at once. */
function drawFirst(each) {
    const { view, model } = each;
    stage.show(null);
    try {
        const given = view.svg === true ? inline.cloneNode(true) : view.svg ? parsed(view.svg, safe) : null;
        if (given && same(each.open, each.first) && !each.unfolded?.size) {
            const seen = model && visible(model, each.open, each.unfolded);
            each.drawing = prepared(given, model, seen, view.title);
            return display(each, null);
        }
    } catch (error) {
        return say(`The drawing cannot be shown: ${error.message}.`);
    }
    if (!model) return say("There is no drawing of this.");
    let open = each.open;
    let note = "";
    if (countVisible(model, open, each.unfolded) > MOST_AT_FIRST && same(open, each.first)) {
        const fewer = openWithin(model, MOST_AT_FIRST);
        if (!same(fewer, open)) note = "Too large to draw at once, so modules are closed. Open what you want to see.";
        open = fewer;
    }
    return redraw(each, open, each.unfolded, { note, then: () => showSelection(true) });
}

function display(each, where) {
    stage.show(each.drawing, where);
    if (!where) stage.fit(true);
    if (each.model && !each.drawing.isMarked) {
        addMarks(each.drawing, each.model, each.unfolded);
        each.drawing.isMarked = true;
    }
    if (each.model) paint(each.drawing, each.model, app.overlay);
    showSelection(false);
}

/** Lays out with other frames open. The old drawing stays until the new one is there, and a clicked frame stays put. */
async function redraw(each, open, unfolded, { anchor = null, note = "", isSure = false, then = null } = {}) {
    running?.abort();
    const control = new AbortController();
    running = control;
    const seen = visible(each.model, open, unfolded);
    const count = seen.shown.length;
    if (count > MOST_VISIBLE && !isSure) {
        const sure = () => redraw(each, open, unfolded, { anchor, note, then, isSure: true });
        const text = `${count.toLocaleString("en")} boxes would be visible, which takes long: close some modules.`;
        return say(text, [
            ["Draw anyway", sure],
            ["Leave it", hideMessage],
        ]);
    }
    const what = counted(count, "box", "boxes");
    const patience = setTimeout(() => say(`Laying out ${what} …`, [["Cancel", () => control.abort()]]), 150);
    document.body.setAttribute("aria-busy", "true");
    try {
        const text = await layOut(dotOf(each.model, seen, record.direction, widthOfText), control.signal);
        if (control.signal.aborted) return undefined;
        const drawing = prepared(parsed(text, safe), each.model, seen, each.view.title);
        const before = anchor && placeIn(each.drawing, anchor);
        Object.assign(each, { open, unfolded, drawing });
        hideMessage();
        if (each === app.current) {
            display(each, before ? { ...stage.at } : null);
            const after = before && placeIn(drawing, anchor);
            if (after) stage.move(before.x - after.x, before.y - after.y);
        }
        if (note) say(note, [["OK", hideMessage]]);
        then?.();
        refresh();
    } catch (error) {
        if (running === control) hideMessage();
        if (!control.signal.aborted)
            say(`The layout failed (${error.message}): close some modules.`, [["OK", hideMessage]]);
    } finally {
        clearTimeout(patience);
        if (running === control) document.body.removeAttribute("aria-busy");
    }
    return undefined;
}

/** The corner of a frame that a click was near, on the screen. */
function placeIn(drawing, { id, atRight }) {
    const part = drawing?.parts.get(id);
    if (!part) return null;
    const box = placeOf(part);
    return { x: atRight ? box.right : box.left, y: box.top };
}

function same(a, b) {
    return a.size === b.size && [...a].every((each) => b.has(each));
}

app.toggle = (frame, { isAll = false, atRight = false } = {}) => {
    const { model, open, unfolded } = app.current;
    if (isAll) return app.openBelow(frame, atRight);
    const next = new Set(open);
    if (!next.delete(frame)) next.add(frame);
    // A block in what is opened is open, too: closed, it would be one more click for nothing.
    if (next.has(frame))
        model.children[frame].filter((i) => model.frames[i].kind === "repeat").forEach((i) => next.add(i));
    return redraw(app.current, next, unfolded, { anchor: { id: `f${frame}`, atRight } });
};

app.openBelow = (frame, atRight = false) => {
    const { model, open, unfolded } = app.current;
    const next = new Set([...open, ...below(model, frame)]);
    return redraw(app.current, next, unfolded, { anchor: { id: `f${frame}`, atRight } });
};

app.unfold = (frame) => {
    const unfolded = new Set(app.current.unfolded);
    if (!unfolded.delete(frame)) unfolded.add(frame);
    const open = new Set([...app.current.open, frame]);
    return redraw(app.current, open, unfolded, { anchor: { id: `f${frame}`, atRight: false } });
};

function openDepth(depth) {
    const { model, unfolded } = app.current;
    const open = depth === null ? new Set(model.frames.keys()) : openToDepth(model, depth);
    redraw(app.current, open, unfolded, {});
}
