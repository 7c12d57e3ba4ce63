/* page_live.js - a page that a server shows while an experiment runs asks for what is new. */

const pollSeconds = 2;

function tell(text, kind) {
    let badge = document.getElementById('live');
    if (!badge) {
        badge = el('p', {id: 'live', role: 'status'});
        document.getElementById('foot').replaceChildren('Made by wisp, and shown from this machine to this machine alone.');
        document.querySelector('.title').append(badge);
    }
    badge.className = kind;
    badge.textContent = text;
}

/* A pause without an end would ask for ever: the page waits longer while nobody answers. */
async function follow() {
    let tag = null;
    let failures = 0;
    tell('Live', 'live');
    for (;;) {
        await new Promise((done) => setTimeout(done, 1000 * pollSeconds * Math.min(1 + failures, 15)));
        if (document.hidden)
            continue;
        let page = null;
        try {
            const answer = await fetch('/page.json', {cache: 'no-store', headers: tag ? {'If-None-Match': tag} : {}});
            if (answer.status === 200) {
                tag = answer.headers.get('ETag');
                page = await answer.json();
            } else if (answer.status !== 304) {
                throw new Error('status ' + answer.status);
            }
            failures = 0;
            tell('Live', 'live');
        } catch (error) {
            failures++;
            tell('The server does not answer; what is shown is the last that it said', 'lost');
        }
        if (page)
            await drawPage(page);
    }
}
