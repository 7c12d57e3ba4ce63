function start() {
    const page = JSON.parse(document.getElementById('page-data').textContent);
    document.getElementById('main').textContent = page.title;
}
