/** biome-ignore-all lint/suspicious/noTemplateCurlyInString: npm's own syntax for variables */
import { expect } from 'chai';
import { cafileOf, npmrcForBuild } from './npmconfig.ts';

describe("npm's configuration for a build", () => {
  const env = { NPM_TOKEN: 'secret' };

  it('says where packages come from, and nothing else that a person has set', () => {
    const global = 'registry=https://one.example/\nprefix=/usr/local\n';
    const user =
      '# mine\n//two.example/:_authToken=${NPM_TOKEN}\n@shop:registry = https://two.example/\ninit-author-name=Ada\n';
    expect(npmrcForBuild([global, user], env, false)).to.equal(
      'registry=https://one.example/\n//two.example/:_authToken=secret\n@shop:registry=https://two.example/\n',
    );
  });

  it('lets the later file win, and the environment over all', () => {
    const files = ['registry=https://one.example/', 'registry=https://two.example/'];
    expect(npmrcForBuild(files, {}, false)).to.equal('registry=https://two.example/\n');
    expect(npmrcForBuild(files, { npm_config_registry: 'https://three.example/' }, false)).to.equal(
      'registry=https://three.example/\n',
    );
  });

  it('names certificates where the build finds them, not where they are here', () => {
    const file = 'cafile="/home/ada/ca.pem"\n';
    expect(npmrcForBuild([file], {}, true)).to.equal('cafile=/run/secrets/npm-ca\n');
    expect(cafileOf([file], {})).to.equal('/home/ada/ca.pem');
    expect(cafileOf([''], { NODE_EXTRA_CA_CERTS: '/etc/ca.pem' })).to.equal('/etc/ca.pem');
    expect(cafileOf([''], {})).to.equal(undefined);
  });

  it('leaves a variable that is not set as it is, so that npm says so', () => {
    expect(npmrcForBuild(['//one.example/:_authToken=${NOT_SET}'], {}, false)).to.include('${NOT_SET}');
  });
});
