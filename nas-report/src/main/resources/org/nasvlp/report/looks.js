(() => {
  const data = JSON.parse(document.getElementById('look-data').textContent);
  document.querySelectorAll('.look').forEach((card, i) => {
    const patches = card.querySelectorAll('.heat rect');
    const told = card.querySelector('.told');
    card.querySelectorAll('input').forEach((input, word) => input.addEventListener('change', () => {
      data[i].maps[word].forEach((percent, at) => patches[at].setAttribute('fill-opacity', percent / 100));
      told.textContent = '“' + input.nextElementSibling.textContent + '” has ' + data[i].shares[word] + ' % of what speaks for it';
    }));
  });
})();
