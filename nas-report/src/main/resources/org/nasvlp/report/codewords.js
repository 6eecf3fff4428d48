(() => {
  const all = JSON.parse(document.getElementById('codeword-data').textContent);
  const list = document.getElementById('codeword-list');
  const find = document.getElementById('find');
  const found = document.getElementById('found');
  const more = document.getElementById('more');
  const dots = new Map([...document.querySelectorAll('#map circle')].map(dot => [Number(dot.dataset.code), dot]));
  const PAGE = 24;
  let matching = all;
  let shown = 0;

  const element = (tag, content, properties = {}) => Object.assign(document.createElement(tag), {textContent: content}, properties);

  const search = text => {
    find.value = text;
    update();
    find.scrollIntoView({block: 'nearest'});
  };

  /** A link within the page: to a codeword or a word. */
  const button = (text, wanted, name) => {
    const made = element('button', text, {type: 'button', className: 'chip'});
    made.setAttribute('aria-label', name);
    made.addEventListener('click', () => search(wanted));
    return made;
  };

  /** A codeword's share of the patch tokens over the run, as a line. */
  const curve = of => {
    const SVG = 'http://www.w3.org/2000/svg';
    const drawn = document.createElementNS(SVG, 'svg');
    drawn.setAttribute('viewBox', '0 0 ' + (of.use.length - 1) + ' 100');
    drawn.setAttribute('preserveAspectRatio', 'none');
    drawn.setAttribute('class', 'use');
    drawn.setAttribute('role', 'img');
    const title = document.createElementNS(SVG, 'title');
    title.textContent = 'use over the run: ' + (of.most / 1e4).toPrecision(2) + ' % of the patch tokens at most, in the end ' + (of.most * of.use.at(-1) / 1e6).toPrecision(2) + ' %';
    const line = document.createElementNS(SVG, 'polyline');
    line.setAttribute('points', of.use.map((share, i) => i + ',' + (100 - share)).join(' '));
    drawn.append(title, line);
    return drawn;
  };

  const card = of => {
    const item = document.createElement('li');
    const head = element('p', '');
    head.append(element('strong', 'codeword ' + of.code), ' ', element('span', of.patches.toLocaleString('en') + ' patches in ' + of.pictures.toLocaleString('en') + ' pictures', {className: 'soft'}));
    const strip = element('img', '', {src: of.strip, alt: 'patches of codeword ' + of.code, className: 'strip'});
    const words = element('p', of.words.length === 0 ? 'no word speaks for it' : '', {className: of.words.length === 0 ? 'soft' : ''});
    of.words.forEach(([word, lift]) => words.append(button(word + ' ×' + lift, word, 'codewords of the word ' + word), ' '));
    const near = element('p', of.neighbours.length === 0 ? '' : 'near: ', {className: 'soft'});
    of.neighbours.forEach(code => near.append(button(String(code), String(code), 'codeword ' + code), ' '));
    if (of.use) {
      head.append(' ', curve(of));
    }
    item.append(head, strip, words, near);
    item.addEventListener('mouseenter', () => dots.get(of.code)?.classList.add('pointed'));
    item.addEventListener('mouseleave', () => dots.get(of.code)?.classList.remove('pointed'));
    return item;
  };

  const grow = () => {
    list.append(...matching.slice(shown, shown + PAGE).map(card));
    shown = Math.min(matching.length, shown + PAGE);
    more.hidden = shown >= matching.length;
    found.textContent = matching.length.toLocaleString('en') + (matching.length === 1 ? ' codeword' : ' codewords') + (more.hidden ? '' : ', ' + shown + ' shown');
  };

  /** By a word's beginning, those for which it speaks loudest first; or by number. */
  const update = () => {
    const text = find.value.trim().toLowerCase();
    const lift = of => Math.max(...of.words.filter(([word]) => word.startsWith(text)).map(([, times]) => times));
    matching = text === '' ? all : /^\d+$/.test(text) && all.some(of => of.code === Number(text)) ?
      all.filter(of => of.code === Number(text)) :
      all.map(of => [lift(of), of]).filter(([times]) => times > 0).sort(([a], [b]) => b - a).map(([, of]) => of);
    const wanted = new Set(matching.map(of => of.code));
    dots.forEach((dot, code) => dot.classList.toggle('faded', !wanted.has(code)));
    list.textContent = '';
    shown = 0;
    grow();
  };

  find.addEventListener('input', update);
  more.addEventListener('click', grow);
  dots.forEach((dot, code) => dot.addEventListener('click', () => search(String(code))));
  update();
})();
