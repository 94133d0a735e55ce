// Node's http, net and tls clients against servers of this process. clients.js CA CERT KEY [CASE...]
// Prints one JSON object per case: its name and what the program saw, in order. Used by clients.py.
'use strict';
const fs = require('fs'), http = require('http'), https = require('https'), net = require('net'), tls = require('tls');
const { once } = require('events');
const [ca, cert, key] = process.argv.slice(2, 5).map((path) => fs.readFileSync(path));
const wanted = process.argv.slice(5);
const BODY = Buffer.alloc(300000, 'tapline ');

const listen = async (server, host) => { server.listen(0, host); await once(server, 'listening'); return server.address().port; };
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

function answer(request, response) {
  const what = request.url.split('/').pop();
  if (what === 'reset') return request.socket.resetAndDestroy ? request.socket.resetAndDestroy() : request.socket.destroy();
  if (what === 'cut') { response.writeHead(200, { 'Content-Length': 100 }); response.write('short'); return setTimeout(() => request.socket.destroy(), 50); }
  if (what === 'slow') return void setTimeout(() => response.end('late'), 1500);
  if (what === 'empty') return request.socket.end();
  if (what === '404') { response.writeHead(404); return response.end('no'); }
  let size = 0;
  request.on('data', (part) => { size += part.length; });
  return request.on('end', () => response.end(request.method === 'GET' ? BODY : String(size)));
}

// One request with every event that its user can see, in order.
function ask(client, options, { body, timeout, abortAfter } = {}) {
  return new Promise((done) => {
    const seen = [];
    let size = 0;
    const request = client.request({ ca, agent: false, ...options });
    request.on('socket', (socket) => {
      for (const event of ['connect', 'secureConnect', 'timeout'])
        socket.on(event, () => seen.push(event));
      socket.on('connectionAttemptFailed', (ip, port, family, error) => seen.push(`attempt failed: ${ip} ${error.code}`));
    });
    request.on('response', (response) => {
      seen.push(`response ${response.statusCode}`);
      response.on('data', (part) => { size += part.length; });
      response.on('end', () => seen.push(`end ${size}`));
      response.on('aborted', () => seen.push(`aborted ${size}`));
      response.on('error', (error) => seen.push(`response error ${error.code}`));
    });
    request.on('error', (error) => seen.push(`error ${error.code} ${error.syscall || ''} ${error.address || ''}`));
    request.on('close', () => { seen.push('close'); done(seen.join(', ')); });
    if (timeout) request.setTimeout(timeout, () => { seen.push('timed out'); request.destroy(); });
    if (abortAfter) setTimeout(() => request.destroy(), abortAfter);
    request.end(body);
  });
}

// A bare socket: connect, perhaps write, read until the end.
function talk(make, { say, half, pause } = {}) {
  return new Promise((done) => {
    const seen = [];
    let size = 0;
    const socket = make();
    seen.push(`connecting ${socket.connecting} pending ${socket.pending}`);
    for (const event of ['connect', 'secureConnect', 'end', 'timeout'])
      socket.on(event, () => seen.push(`${event}${event.endsWith('onnect') ? ` ${socket.remoteAddress} ${socket.remoteFamily} ${socket.localAddress}` : ''}`));
    socket.on('ready', () => {
      seen.push('ready');
      if (pause) { socket.pause(); setTimeout(() => socket.resume(), pause); }
      if (half) socket.end(say); else if (say) socket.write(say);
    });
    socket.on('data', (part) => { size += part.length; });
    socket.on('error', (error) => seen.push(`error ${error.code} ${error.syscall || ''} ${error.address || ''}`));
    socket.on('close', (failed) => {
      seen.push(`close ${failed} read ${size}=${socket.bytesRead} written ${socket.bytesWritten}`);
      done(seen.join(', '));
    });
  });
}

async function main() {
  const web = http.createServer(answer), web6 = http.createServer(answer), secure = https.createServer({ cert, key }, answer);
  const echo = net.createServer({ allowHalfOpen: true }, (peer) => { peer.on('error', () => {}); peer.pipe(peer); });
  const greeter = net.createServer((peer) => peer.on('error', () => {}).end('hello'));
  const resetter = net.createServer((peer) => peer.resetAndDestroy());
  const quiet = tls.createServer({ cert, key }, (peer) => peer.on('error', () => {}).end('hello'));
  const port = await listen(web, '127.0.0.1'), port6 = await listen(web6, '::1'), tlsPort = await listen(secure, '127.0.0.1');
  const echoPort = await listen(echo, '127.0.0.1'), greetPort = await listen(greeter, '127.0.0.1');
  const resetPort = await listen(resetter, '127.0.0.1'), quietPort = await listen(quiet, '127.0.0.1');
  const unused = net.createServer(), closed = await listen(unused, '127.0.0.1');
  unused.close();
  await once(unused, 'close');
  const host = '127.0.0.1';
  const get = (path, more) => ask(http, { host, port, path }, more);
  const pool = new http.Agent({ keepAlive: true, maxSockets: 3 }), tlsPool = new https.Agent({ keepAlive: true, maxSockets: 2 });

  const cases = {
    'http get': () => get('/body'),
    'http 404': () => get('/404'),
    'http head': () => ask(http, { host, port, path: '/body', method: 'HEAD' }),
    'http post': () => ask(http, { host, port, path: '/post', method: 'POST' }, { body: BODY }),
    'http IPv6': () => ask(http, { host: '::1', port: port6, path: '/body' }),
    'http localhost': () => ask(http, { host: 'localhost', port, path: '/body' }),
    'http localhost, IPv6 only': () => ask(http, { host: 'localhost', port: port6, path: '/body' }),
    'http refused': () => ask(http, { host, port: closed }),
    'http localhost refused': () => ask(http, { host: 'localhost', port: closed }),
    'http no such name': () => ask(http, { host: 'no-such-name.invalid', port }),
    'http reset': () => get('/reset'),
    'http cut off': () => get('/cut'),
    'http empty': () => get('/empty'),
    'http slow': () => get('/slow'),
    'http timed out': () => get('/slow', { timeout: 400 }),
    'http aborted': () => get('/slow', { abortAfter: 300 }),
    'http local address': () => ask(http, { host, port, path: '/body', localAddress: '127.0.0.1' }),
    'http local address not ours': () => ask(http, { host, port, path: '/body', localAddress: '192.0.2.1' }),
    'http pool': async () => (await Promise.all(Array.from({ length: 12 }, (_, i) =>
      ask(http, { host, port, path: i % 3 ? '/body' : '/404', agent: pool })))).map((s) => s.replace(/connect, /g, '')).join('; '),
    'http fifty at once': async () => (await Promise.all(Array.from({ length: 50 }, (_, i) =>
      ask(http, { host, port: i % 5 ? port : closed, path: '/body' })))).join('; '),
    'https get': () => ask(https, { host: 'localhost', port: tlsPort, path: '/body' }),
    'https unknown authority': () => ask(https, { host: 'localhost', port: tlsPort, path: '/body', ca: undefined }),
    'https wrong name': () => ask(https, { host, port: tlsPort, path: '/body', servername: 'made.example' }),
    'https pool': async () => (await Promise.all(Array.from({ length: 6 }, () =>
      ask(https, { host: 'localhost', port: tlsPort, path: '/body', agent: tlsPool })))).map((s) => s.replace(/(secureC|c)onnect, /g, '')).join('; '),
    'https refused': () => ask(https, { host, port: closed }),
    'https to a plain port': async () => (await ask(https, { host, port })).replace(/ERR_SSL\w+/, 'ERR_SSL'),
    'fetch': async () => (await (await fetch(`http://127.0.0.1:${port}/body`)).arrayBuffer()).byteLength,
    'fetch refused': () => fetch(`http://127.0.0.1:${closed}/`).catch((error) => `${error.message} ${error.cause && error.cause.code}`),
    'net greeting': () => talk(() => net.connect(greetPort, host)),
    'net echo': () => talk(() => net.connect(echoPort, host), { say: BODY, half: true }),
    'net echo, reader pauses': () => talk(() => net.connect(echoPort, host), { say: BODY, half: true, pause: 300 }),
    'net early write': () => talk(() => { const s = net.connect({ port: echoPort, host, allowHalfOpen: true }); s.end('early'); return s; }),
    'net refused': () => talk(() => net.connect(closed, host)),
    'net refused, early write': () => talk(() => { const s = net.connect(closed, host); s.write('early'); return s; }),
    'net localhost, not chosen by itself': () => talk(() => net.connect({ port: greetPort, host: 'localhost', autoSelectFamily: false, family: 4 })),
    'net localhost': () => talk(() => net.connect({ port: greetPort, host: 'localhost', autoSelectFamily: true })),
    'net reset by the peer': () => talk(() => net.connect(resetPort, host)),
    'net reset by us': () => talk(() => { const s = net.connect(echoPort, host); s.on('ready', () => s.resetAndDestroy()); return s; }),
    'net destroyed while connecting': () => talk(() => { const s = net.connect(greetPort, host); s.destroy(); return s; }),
    'net no delay, keep alive': () => talk(() => { const s = net.connect({ port: greetPort, host, noDelay: true, keepAlive: true }); return s; }),
    'net idle': () => talk(() => { const s = net.connect({ port: echoPort, host, timeout: 300 }); s.on('timeout', () => s.destroy()); return s; }),
    'net local port': async () => {
      const holder = net.createServer(), mine = await listen(holder, host);
      holder.close();
      await once(holder, 'close');
      return (await talk(() => net.connect({ port: greetPort, host, localAddress: host, localPort: mine })));
    },
    'net peer': async () => {
      const socket = net.connect(greetPort, host);
      await once(socket, 'connect');
      const said = `${socket.remoteAddress} ${socket.remotePort === greetPort} ${socket.localAddress}`;
      socket.destroy();
      return said;
    },
    'tls greeting': () => talk(() => tls.connect({ port: quietPort, host: 'localhost', ca })),
    'tls unknown authority': () => talk(() => tls.connect({ port: quietPort, host: 'localhost' })),
    'tls wrong name': () => talk(() => tls.connect({ port: quietPort, host, servername: 'made.example', ca })),
    'tls refused': () => talk(() => tls.connect({ port: closed, host, ca })),
    'tls over a socket': () => talk(() => tls.connect({ socket: net.connect(quietPort, host), servername: 'localhost', ca })),
    'tls session': async () => {
      const first = tls.connect({ port: quietPort, host: 'localhost', ca, maxVersion: 'TLSv1.2' });
      await once(first, 'secureConnect');
      const session = first.getSession();
      first.destroy();
      const second = tls.connect({ port: quietPort, host: 'localhost', ca, session, maxVersion: 'TLSv1.2' });
      await once(second, 'secureConnect');
      const said = `${second.getProtocol()} ${second.getCipher().name} reused ${second.isSessionReused()}`;
      second.destroy();
      return said;
    },
    'tls to a resetting server': () => talk(() => tls.connect({ port: resetPort, host, ca })),
  };
  for (const [name, run] of Object.entries(cases)) {
    if (wanted.length && !wanted.includes(name)) continue;
    const result = await Promise.race([run().catch((error) => `threw ${error.code || error.message}`), wait(10000).then(() => 'still running after 10 s')]);
    console.log(JSON.stringify({ name, result: String(result) }));
  }
}

main().then(() => process.exit(0));
