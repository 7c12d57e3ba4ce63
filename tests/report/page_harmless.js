/* page_harmless.js - names that would like to be HTML are text. */
expect(window.broken === undefined, 'a script of a name has run');
expect(!document.querySelector('b'), 'a name has become an element');
expect(all('img').every((image) => image.src.startsWith('data:image/png')), 'a name has become an image');
expect(document.title.startsWith('</script><img src=x'), 'the title is ' + document.title);
expect(document.querySelector('h1').textContent.includes('onerror="window.broken = 1"><b>bold</b><!--\u2028\u2029 & "quoted"'), 'the heading is another text');
expect(all('.warning')[0].textContent.includes('<b>bold</b>'), 'the note is another text');
// And if one ever did: the policy runs no script that is not the page's own.
const image = document.createElement('img');
image.setAttribute('onerror', 'window.broken = 2');
image.src = 'data:image/png;base64,AAAA';
document.body.append(image);
const script = document.createElement('script');
script.textContent = 'window.broken = 3';
document.body.append(script);
await new Promise((done) => setTimeout(done, 200));
expect(window.broken === undefined, 'the policy lets a foreign script run');
const answer = await fetch('http://127.0.0.1:1/').then(() => 'answered', () => 'refused');
expect(answer === 'refused', 'the policy lets it fetch');
return verdict();
