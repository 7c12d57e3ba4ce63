/* page_zoom.js - looks closer at a chart: drag over a part of it, pinch, or turn the wheel with Ctrl;
 * double click, Escape or the card's button go back. With the keyboard: + - and the arrows. A chart
 * whose options say plugins.zoom.both is zoomed in both directions, others along x alone, and then
 * y follows what is seen. */

const zoomPlugin = {
    id: 'zoom',
    defaults: {both: false},

    afterInit(chart, args, options) {
        const zoom = {chart, both: options.both, pointers: new Map(), from: null, to: null, home: {}};
        chart.$zoom = zoom;
        for (const axis of ['x', 'y']) {
            const scale = chart.options.scales[axis];
            if (scale)
                zoom.home[axis] = {min: scale.min, max: scale.max};
        }
        listenToPointers(zoom, chart.canvas);
        chart.canvas.addEventListener('keydown', (event) => onZoomKey(chart, event));
    },

    afterDraw(chart) {
        const box = selectionOf(chart.$zoom);
        if (!box)
            return;
        const context = chart.ctx;
        context.save();
        context.fillStyle = faint(seriesColour(0), 0.15);
        context.strokeStyle = seriesColour(0);
        context.fillRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
        context.strokeRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
        context.restore();
    },
};

function isZoomed(chart) {
    return Object.entries(chart.$zoom.home).some(([axis, home]) =>
        chart.options.scales[axis].min !== home.min || chart.options.scales[axis].max !== home.max);
}

function setRanges(chart, ranges) {
    for (const [axis, range] of Object.entries(ranges)) {
        chart.options.scales[axis].min = range.min;
        chart.options.scales[axis].max = range.max;
    }
    chart.update('none');
    chart.canvas.dispatchEvent(new CustomEvent('zoomchange'));
}

function resetZoom(chart) {
    setRanges(chart, chart.$zoom.home);
}

/* What lies between two pixels of an axis; never more than the chart shows at home. */
function rangeBetween(scale, a, b) {
    const one = scale.getValueForPixel(a);
    const other = scale.getValueForPixel(b);
    return {min: Math.min(one, other), max: Math.max(one, other)};
}

/* Shows 1/factor of what is seen, around a pixel; factors under 1 go back out, and at last home. */
function zoomAround(chart, factor, pixelX, pixelY) {
    const ranges = {};
    rememberWhole(chart);
    for (const axis of chart.$zoom.both ? ['x', 'y'] : ['x']) {
        const scale = chart.scales[axis];
        const pixel = axis === 'x' ? pixelX : pixelY;
        const [first, last] = axis === 'x' ? [scale.left, scale.right] : [scale.bottom, scale.top];
        ranges[axis] = rangeBetween(scale, pixel + (first - pixel) / factor, pixel + (last - pixel) / factor);
        const whole = chart.$zoom.whole && chart.$zoom.whole[axis];
        if (whole && ranges[axis].max - ranges[axis].min >= 0.999 * (whole.max - whole.min))
            return resetZoom(chart);
    }
    setRanges(chart, ranges);
}

/* How much there is to see, taken before the first zoom. */
function rememberWhole(chart) {
    if (isZoomed(chart))
        return;
    chart.$zoom.whole = {};
    for (const axis of Object.keys(chart.$zoom.home))
        chart.$zoom.whole[axis] = {min: chart.scales[axis].min, max: chart.scales[axis].max};
}

function pan(chart, pixels) {
    const {x} = chart.scales;
    setRanges(chart, {x: rangeBetween(x, x.left + pixels, x.right + pixels)});
}

function onZoomKey(chart, event) {
    const {left, right, top, bottom} = chart.chartArea;
    const middle = [(left + right) / 2, (top + bottom) / 2];
    const keys = {
        '+': () => zoomAround(chart, 1.5, ...middle),
        '=': () => zoomAround(chart, 1.5, ...middle),
        '-': () => zoomAround(chart, 1 / 1.5, ...middle),
        '0': () => resetZoom(chart),
        Escape: () => resetZoom(chart),
        ArrowLeft: () => isZoomed(chart) && pan(chart, (left - right) / 8),
        ArrowRight: () => isZoomed(chart) && pan(chart, (right - left) / 8),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey)
        return;
    event.preventDefault();
    keys[event.key]();
}

/* The rectangle that is being dragged, or null while it is too small to be meant. */
function selectionOf(zoom) {
    if (!zoom || !zoom.from || !zoom.to || Math.abs(zoom.to.x - zoom.from.x) < 6)
        return null;
    const area = zoom.chart.chartArea;
    const inside = (value, low, high) => Math.min(Math.max(value, low), high);
    const xs = [zoom.from.x, zoom.to.x].map((x) => inside(x, area.left, area.right));
    const tall = zoom.both && Math.abs(zoom.to.y - zoom.from.y) >= 6;
    const ys = tall ? [zoom.from.y, zoom.to.y].map((y) => inside(y, area.top, area.bottom)) : [area.top, area.bottom];
    return {left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys), tall};
}

function endSelection(zoom) {
    const {chart} = zoom;
    const box = selectionOf(zoom);
    zoom.from = zoom.to = null;
    if (!box || box.right - box.left < 2)
        return chart.draw();
    const ranges = {x: rangeBetween(chart.scales.x, box.left, box.right)};
    if (box.tall)
        ranges.y = rangeBetween(chart.scales.y, box.top, box.bottom);
    rememberWhole(chart);
    setRanges(chart, ranges);
}

function listenToPointers(zoom, canvas) {
    const {chart} = zoom;
    const place = (event) => ({x: event.offsetX, y: event.offsetY});
    const spread = () => {
        const [a, b] = [...zoom.pointers.values()];
        return {size: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2};
    };
    canvas.addEventListener('pointerdown', (event) => {
        if (event.button !== 0)
            return;
        canvas.setPointerCapture(event.pointerId);
        zoom.pointers.set(event.pointerId, place(event));
        zoom.from = zoom.pointers.size === 1 ? place(event) : null;
        zoom.to = null;
    });
    canvas.addEventListener('pointermove', (event) => {
        if (!zoom.pointers.has(event.pointerId))
            return;
        const before = zoom.pointers.size === 2 ? spread() : null;
        zoom.pointers.set(event.pointerId, place(event));
        if (before && before.size > 0) {
            const now = spread();
            zoomAround(chart, now.size / before.size, now.x, now.y);
        } else if (zoom.from) {
            zoom.to = place(event);
            chart.draw();
        }
    });
    const release = (event) => {
        zoom.pointers.delete(event.pointerId);
        if (zoom.from && event.type === 'pointerup')
            endSelection(zoom);
        zoom.from = zoom.to = null;
    };
    canvas.addEventListener('pointerup', release);
    canvas.addEventListener('pointercancel', release);
    canvas.addEventListener('dblclick', () => resetZoom(chart));
    canvas.addEventListener('wheel', (event) => {
        if (!event.ctrlKey && !event.metaKey)
            return; // the page scrolls
        event.preventDefault();
        zoomAround(chart, Math.exp(-event.deltaY / 200), event.offsetX, event.offsetY);
    }, {passive: false});
}
