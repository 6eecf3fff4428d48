'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = run => style('--run-' + run % 8);
  const plots = [];
  const last = Math.max(1, ...data.runs.flatMap(run => [run.steps.at(-1) ?? 1, run.evaluated.at(-1) ?? 1]));
  let window_ = [0, last];
  let smoothing = 0;
  let score = 'captionChoice';
  let zooming = false;

  /** The mean of a point and its neighbours on both sides; null stays null. */
  const smooth = (values, half) => half === 0 ? values : values.map((value, i) => {
    if (value === null) return null;
    let sum = 0, count = 0;
    for (let j = Math.max(0, i - half); j <= Math.min(values.length - 1, i + half); j++) {
      if (values[j] !== null) { sum += values[j]; count++; }
    }
    return sum / count;
  });

  const digits = value => {
    if (value === null || value === undefined) return '–';
    const size = Math.abs(value);
    if (size !== 0 && size < 1e-3) return value.toExponential(2);
    if (size >= 1000) return Math.round(value).toLocaleString('en');
    return String(Number(value.toPrecision(4)));
  };

  /** A chart's lines, each with its own steps: several runs need not have the same. */
  const lines = chart => data.runs.flatMap((run, r) => {
    const label = data.runs.length > 1 ? run.name : '';
    if (chart.type !== undefined) {
      return ['itm', 'itc'].flatMap(way => {
        const values = run.scores[score][way][chart.type];
        return values === undefined ? [] : [{
          x: run.evaluated, y: values, run: r, dash: way === 'itc' ? [6, 4] : undefined,
          label: [label, way.toUpperCase()].filter(Boolean).join(' '), points: values.length < 40
        }];
      });
    }
    const column = run.columns[chart.column];
    if (column === undefined) return [];
    const main = {x: run.steps, y: smooth(column.mean, smoothing), run: r, label: label || 'value', points: run.steps.length < 40};
    return column.low === undefined || smoothing > 0 ? [main] :
      [main, {x: run.steps, y: column.high, run: r, band: 'high'}, {x: run.steps, y: column.low, run: r, band: 'low'}];
  });

  /** Of the points with a value the nearest to the pointer. */
  const nearest = (plot, series, index, value) => {
    const x = plot.data[0], y = plot.data[series];
    if (series === 0 || (y[index] ?? null) !== null) return index;
    let left = index, right = index;
    while (left >= 0 && (y[left] ?? null) === null) left--;
    while (right < y.length && (y[right] ?? null) === null) right++;
    if (left < 0) return right < y.length ? right : index;
    if (right >= y.length) return left;
    return value - x[left] <= x[right] - value ? left : right;
  };

  const chance = () => score === 'group' ? 100 / 6 : 50;

  /** The line of chance behind accuracies. */
  const reference = chart => plot => {
    if (chart.type === undefined) return;
    const y = plot.valToPos(chance(), 'y', true), box = plot.bbox;
    if (y < box.top || y > box.top + box.height) return;
    plot.ctx.save();
    plot.ctx.strokeStyle = style('--soft');
    plot.ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
    plot.ctx.beginPath();
    plot.ctx.moveTo(box.left, y);
    plot.ctx.lineTo(box.left + box.width, y);
    plot.ctx.stroke();
    plot.ctx.restore();
  };

  const show = (from, to) => {
    const least = Math.max(1, last / 200);
    const span = Math.min(last, Math.max(least, to - from));
    const start = Math.min(Math.max(0, from), last - span);
    window_ = [start, start + span];
    zooming = true;
    plots.forEach(entry => entry.plot.setScale('x', {min: window_[0], max: window_[1]}));
    zooming = false;
    document.getElementById('window').textContent =
      'steps ' + Math.round(window_[0]).toLocaleString('en') + ' to ' + Math.round(window_[1]).toLocaleString('en');
  };

  const zoom = factor => {
    const middle = (window_[0] + window_[1]) / 2, half = (window_[1] - window_[0]) / 2 * factor;
    show(middle - half, middle + half);
  };

  const move = share => {
    const by = (window_[1] - window_[0]) * share;
    show(window_[0] + by, window_[1] + by);
  };

  const draw = (chart, place) => {
    const all = lines(chart);
    if (all.length === 0) {
      place.textContent = 'no values';
      return;
    }
    const columns = uPlot.join(all.map(line => [line.x, line.y]), all.map(() => [1]));
    const bands = [];
    all.forEach((line, i) => {
      if (line.band === 'high') {
        bands.push({series: [i + 1, i + 2], fill: () => colour(line.run) + '38'});
      }
    });
    const axis = {stroke: () => style('--soft'), grid: {stroke: () => style('--grid'), width: 1}, ticks: {stroke: () => style('--grid'), width: 1}, font: '12px system-ui, sans-serif'};
    const percent = chart.form === 'percent';
    const plot = new uPlot({
      width: Math.max(200, place.clientWidth), height: 200,
      scales: {
        x: {time: false, range: () => window_},
        y: chart.form === 'log' ? {distr: 3} : percent ? {range: (u, low, high) => [Math.min(low ?? 0, chance()) - 3, Math.max(high ?? 100, chance()) + 3]} : {}
      },
      cursor: {sync: {key: 'steps'}, dataIdx: nearest, drag: {x: true, y: false}, points: {size: 7}},
      bands,
      axes: [
        {...axis, values: (u, ticks) => ticks.map(tick => tick >= 1e6 ? tick / 1e6 + 'M' : tick >= 1e4 ? tick / 1e3 + 'k' : tick)},
        {...axis, size: 58, values: (u, ticks) => ticks.map(tick => tick === null ? '' : digits(tick) + (percent ? ' %' : ''))}
      ],
      series: [
        {label: 'step', value: (u, value) => digits(value)},
        ...all.map(line => line.band !== undefined ?
          {label: line.band, stroke: 'transparent', width: 0, points: {show: false}, spanGaps: true, value: (u, value) => digits(value)} :
          {label: line.label, stroke: () => colour(line.run), width: 1.6, dash: line.dash, spanGaps: true,
            points: {show: line.points, size: 4}, value: (u, value) => digits(value) + (percent && value !== null ? ' %' : '')})
      ],
      hooks: {
        drawAxes: [reference(chart)],
        setScale: [(u, key) => {
          if (key === 'x' && !zooming && u.status === 1) show(u.scales.x.min, u.scales.x.max);
        }],
        setSelect: [u => {
          if (u.select.width > 2) show(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x'));
        }]
      }
    }, columns, place);
    // The rows of a band's two edges would say little beside that of its mean.
    const rows = plot.root.querySelectorAll('.u-legend .u-series');
    all.forEach((line, i) => { rows[i + 1].hidden = line.band !== undefined; });
    plot.over.addEventListener('dblclick', () => show(0, last));
    plots.push({plot, place, chart});
  };

  const redraw = only => {
    data.charts.forEach(chart => {
      if (!only(chart)) return;
      const place = [...document.querySelectorAll('.chart')].find(of => of.dataset.chart === chart.id);
      const old = plots.findIndex(entry => entry.place === place);
      if (old >= 0) plots.splice(old, 1)[0].plot.destroy();
      place.textContent = '';
      draw(chart, place);
    });
  };

  const step = (place, by) => {
    const entry = plots.find(of => of.place === place);
    if (entry === undefined) return;
    const u = entry.plot, x = u.data[0];
    const now = u.cursor.left >= 0 ? u.posToIdx(u.cursor.left) : by > 0 ? -1 : x.length;
    const next = Math.min(x.length - 1, Math.max(0, now + by * Math.max(1, Math.round(x.length / 100))));
    u.setCursor({left: u.valToPos(x[next], 'x'), top: u.over.clientHeight / 2});
  };

  document.querySelectorAll('.chart').forEach(place => place.addEventListener('keydown', event => {
    const act = {
      ArrowLeft: () => event.shiftKey ? move(-0.25) : step(place, -1),
      ArrowRight: () => event.shiftKey ? move(0.25) : step(place, 1),
      '+': () => zoom(0.5), '=': () => zoom(0.5), '-': () => zoom(2), '0': () => show(0, last), Escape: () => show(0, last)
    }[event.key];
    if (act !== undefined && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      act();
    }
  }));
  const on = (id, event, act) => document.getElementById(id)?.addEventListener(event, act);
  on('closer', 'click', () => zoom(0.5));
  on('farther', 'click', () => zoom(2));
  on('earlier', 'click', () => move(-0.5));
  on('later', 'click', () => move(0.5));
  on('whole', 'click', () => show(0, last));
  on('smooth', 'change', event => {
    smoothing = Number(event.target.value);
    redraw(chart => chart.column !== undefined);
  });
  on('score', 'change', event => {
    score = event.target.value;
    redraw(chart => chart.type !== undefined);
  });

  redraw(() => true);
  show(0, last);
  let width = innerWidth;
  addEventListener('resize', () => {
    if (innerWidth === width) return;
    width = innerWidth;
    plots.forEach(entry => entry.plot.setSize({width: Math.max(200, entry.place.clientWidth), height: 200}));
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => plots.forEach(entry => entry.plot.redraw()));
  document.documentElement.dataset.drawn = plots.length;
})();
