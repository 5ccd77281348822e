import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { DocumentedApi } from './documented-api.ts';

const count = { type: 'object', required: ['count'], properties: { count: { type: 'integer' } } };
const document = {
  openapi: '3.1.0',
  paths: {
    '/shelves/{id}': {
      get: {
        responses: {
          200: { description: '', content: { 'application/json': { schema: { $ref: '#/components/schemas/Count' } } } },
          204: { description: '' },
          404: { description: '', content: { 'application/problem+json': { schema: { type: 'object' } } } },
        },
      },
    },
  },
  components: { schemas: { Count: count } },
};

describe('a documented API', () => {
  let server: Server;
  let url: string;
  let answer: (response: ServerResponse) => void;
  const says = (status: number, type: string | undefined, body = '') => {
    answer = (response) => response.writeHead(status, type === undefined ? {} : { 'content-type': type }).end(body);
  };

  before(async () => {
    server = createServer((_request, response) => answer(response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const call = (api: DocumentedApi, path = '/shelves/a') =>
    api.call(url, { method: 'GET', path }).then(
      ({ status }) => status,
      (error: Error) => error.message,
    );

  it('takes what is documented, and knows what never came', async () => {
    const api = new DocumentedApi(document);
    says(200, 'application/json', '{"count":1}');
    expect(await call(api, '/shelves/a?x=1')).to.equal(200);
    says(404, 'application/problem+json', '{}');
    expect(await call(api)).to.equal(404);
    expect(await call(api, '/elsewhere'), 'where there is no operation').to.equal(404);
    expect(api.unseen).to.deep.equal(['get /shelves/{id} 204']);
  });

  const wrong: [string, Parameters<typeof says>, string][] = [
    ['a status that is not documented', [409, 'application/problem+json', '{}'], 'no such answer'],
    ['another content type', [200, 'application/problem+json', '{"count":1}'], 'documented are application/json'],
    ['a body that the schema refuses', [200, 'application/json', '{"count":"1"}'], 'must be integer'],
    ['a body that is too little', [200, 'application/json', '{}'], "required property 'count'"],
  ];
  for (const [what, said, why] of wrong)
    it(`refuses ${what}`, async () => {
      says(...said);
      expect(await call(new DocumentedApi(document))).to.contain(why);
    });

  it('refuses an operation that is not documented', async () => {
    says(200, 'application/json', '{}');
    expect(await call(new DocumentedApi(document), '/elsewhere')).to.contain('no such operation');
  });
});
