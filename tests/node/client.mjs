// What somebody writes who has read about the asynchronous request-reply pattern and nothing of
// ours: fetch, a status URL to poll, a WebSocket per job. It must work as it stands.
//
//   node [--experimental-websocket] client.mjs BASE_URL FILE_URL poll|socket
//
// Prints one JSON line for each update and one for the outcome.

const [baseUrl, fileUrl, way] = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function submit() {
  const response = await fetch(`${baseUrl}/api/documents/process`, {
    method: 'POST',
    body: JSON.stringify({ fileUrl, options: { summary: true, report: ['html'] } }),
  });
  if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`);
  return response.json();
}

async function poll(statusUrl) {
  let delay = 1000;
  for (;;) {
    const response = await fetch(new URL(statusUrl, baseUrl));
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    const job = await response.json();
    say({ status: job.status, progress: job.progress });
    if (job.status === 'completed') return job.results;
    if (job.status === 'failed') throw new Error(job.error);
    await sleep(delay);
    delay = Math.min(delay * 1.5, 30_000);
  }
}

function listen(jobId) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${baseUrl.replace(/^http/, 'ws')}/jobs/${jobId}`);
    socket.onmessage = (event) => {
      const update = JSON.parse(event.data);
      say({ status: update.status, progress: update.progress });
      if (update.status === 'completed') resolve(update.results);
      if (update.status === 'failed') reject(new Error(update.error));
    };
    socket.onerror = () => reject(new Error('the socket failed'));
    socket.onclose = (event) => reject(new Error(`closed early: ${event.code}`));
  });
}

try {
  const { jobId, status, statusUrl } = await submit();
  say({ jobId, status, statusUrl });
  say({ results: await (way === 'socket' ? listen(jobId) : poll(statusUrl)) });
} catch (error) {
  say({ error: error.message });
  process.exitCode = 1;
}
