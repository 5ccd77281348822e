import { Agent, request as httpsRequest } from 'node:https';
import type { KeyAndCertificate } from './pki.ts';

/** One request to the API server, for what tests and tools need; programs use a client of their own. */
export interface ApiRequest {
  /** @default "GET" */
  readonly method?: string;
  /** Sent as JSON when given. */
  readonly body?: unknown;
  /** @default "application/json" */
  readonly contentType?: string;
  /** Sent as `Authorization: Bearer`, instead of the client certificate. */
  readonly token?: string;
  /** False sends no credentials: the request is made as system:anonymous. @default true */
  readonly authenticate?: boolean;
}

/** What the API server answered, whatever the status. */
export interface ApiResponse {
  readonly status: number;
  /** Parsed when the answer is JSON, else the text. */
  readonly body: unknown;
}

/** Sends one request over TLS that trusts the given authority only, and reads the whole answer. */
export type ApiClient = (path: string, request?: ApiRequest) => Promise<ApiResponse>;

/** A request that the API server did not answer in this time is an error, so that nothing waits for ever. */
const TIMEOUT_MS = 60_000;

/** A client for one API server. Its connections are kept open, and do not keep the process alive. */
export function apiClient(url: string, caPem: string, certificate: KeyAndCertificate): ApiClient {
  const authenticated = new Agent({ keepAlive: true, ca: caPem, cert: certificate.certPem, key: certificate.keyPem });
  const anonymous = new Agent({ keepAlive: true, ca: caPem });
  return (path, request = {}) => {
    const withCertificate = request.authenticate !== false && request.token === undefined;
    return send(new URL(path, url), request, withCertificate ? authenticated : anonymous);
  };
}

function send(
  url: URL,
  { method = 'GET', body, contentType = 'application/json', token }: ApiRequest,
  agent: Agent,
): Promise<ApiResponse> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    // The issuer's keys have a media type of their own.
    accept: 'application/json, */*;q=0.8',
    ...(payload === undefined ? {} : { 'content-type': contentType, 'content-length': Buffer.byteLength(payload) }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, { method, headers, agent, timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode!, body: isJson(response.headers['content-type']) ? parse(text) : text });
      });
    });
    request.once('timeout', () => request.destroy(new Error(`${method} ${url}: no answer in ${TIMEOUT_MS / 1000} s`)));
    request.once('error', reject);
    request.end(payload);
  });
}

function isJson(contentType: string | undefined): boolean {
  return contentType?.includes('json') ?? false;
}

/** A watch answers with a line of JSON for each event. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
