// Setting up, once everything is there: texts, buttons, clicks, and the state that the address describes.

const inline = byId("stage").querySelector("svg");
byId("stage").replaceChildren();
byId("name").textContent = record.name;
byId("summary").textContent = (record.summary ?? []).join(" · ");
byId("summary").title = (record.summary ?? []).join("\n");
byId("overlays").hidden = !(record.overlays ?? []).length;
byId("overlay").append(
    element("option", { value: "" }, "kind"),
    ...(record.overlays ?? []).map((each) => element("option", { value: each.name }, each.title)),
);
byId("tabs").append(
    ...views.map((each, k) =>
        button(each.view.title, () => app.openView(k), {
            role: "tab",
            "aria-controls": each.isTable ? "table" : "stage",
        }),
    ),
);
for (const part of document.querySelectorAll(".bar, #side, #grip")) part.hidden = false;
document.body.classList.add("ready");

let theme = record.theme === "dark" || matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
try {
    theme = localStorage.getItem("graphc-viz-theme") ?? theme;
} catch {
    // As above: the theme of the system it is.
}
document.documentElement.dataset.drawn = record.theme ?? "light";
setTheme(theme === "dark" ? "dark" : "light");
fillHelp(byId("about"), licenses);

byId("overlay").addEventListener("change", (event) => {
    setOverlay(event.target.value);
    refresh();
});
byId("theme").addEventListener("click", app.toggleTheme);
byId("help").addEventListener("click", app.showHelp);
byId("sides").addEventListener("click", app.togglePanel);
byId("in").addEventListener("click", () => stage.zoom(1.25));
byId("out").addEventListener("click", () => stage.zoom(0.8));
byId("scale").addEventListener("click", () => stage.trueSize());
byId("fit").addEventListener("click", () => stage.fit());
byId("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    app.openBeside(step);
    byId("tabs").querySelector("[aria-selected=true]").focus();
});
byId("stage").addEventListener("click", (event) => {
    if (stage.wasDragged()) return;
    clicked(event);
});
byId("about").addEventListener("click", (event) => {
    if (event.target === byId("about")) byId("about").close();
});
addEventListener("hashchange", restore);
addGrip(byId("grip"));
searchBox(byId("find"), byId("hits"), app);
listen(app, stage);

/** A click on a mark, a title or a closed box opens or closes; on anything else that stands for something selects. */
function clicked(event) {
    const { current } = app;
    if (!current.model) {
        const marks = Object.keys(current.view.marks ?? {});
        const part = event.target.closest(marks.map((id) => `[id="${CSS.escape(id)}"]`).join(",") || "none");
        const nodes = part ? current.view.marks[part.id] : null;
        if (nodes) choose(nodes);
        if (nodes) {
            app.side = "details";
            showSelection(false);
            refresh();
        }
        return;
    }
    const edge = event.target.closest(".edge");
    if (edge?.dataset.arrow) return app.selectPart(current.drawing.seen.arrows[Number(edge.dataset.arrow)].tail, false);
    const part = event.target.closest(".node, .cluster");
    const id = part && /^[nf]\d+$/.exec(part.id)?.[0];
    if (!id) return selectNothing();
    const frame = id[0] === "f" ? Number(id.slice(1)) : null;
    app.selectPart(id, false);
    part.focus({ preventScroll: true });
    if (frame === null) return undefined;
    const mark = event.target.closest(".mark");
    if (mark?.classList.contains("fold")) return app.unfold(frame);
    const isTitle = mark || event.target.closest("text") || part.classList.contains("node");
    if (isTitle) app.toggle(frame, { isAll: event.shiftKey, atRight: Boolean(mark) });
    return undefined;
}

function addGrip(grip) {
    const set = (width) => {
        const most = Math.max(260, innerWidth - 240);
        document.documentElement.style.setProperty("--side", `${Math.min(most, Math.max(240, width))}px`);
    };
    const width = () => byId("side").getBoundingClientRect().width;
    grip.addEventListener("pointerdown", (event) => {
        grip.setPointerCapture(event.pointerId);
        const [x, start] = [event.clientX, width()];
        grip.onpointermove = (moved) => set(start + x - moved.clientX);
        event.preventDefault();
    });
    grip.addEventListener("lostpointercapture", () => {
        grip.onpointermove = null;
    });
    grip.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: 24, ArrowRight: -24 }[event.key];
        if (!step) return;
        set(width() + step);
        event.preventDefault();
        event.stopPropagation();
    });
}

restore();
globalThis.graphcPage = { app, modelOf, visible, dotOf, opensAtFirst, hitsOf, searchIndex };
