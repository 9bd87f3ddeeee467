#!/bin/sh
# Makes an OCI image layout of the filter, as Istio and Envoy Gateway pull it: one layer, the .wasm file.
#   deploy/oci/layout.sh edge_filter.wasm FOLDER
# Push it with any OCI tool, for example: oras cp --from-oci-layout FOLDER:0.1.0 registry.example.com/portico/edge-filter:0.1.0
set -eu
wasm=$1
folder=$2
version=${3:-0.1.0}
mkdir -p "$folder/blobs/sha256"

# Stores standard input as a blob and prints "DIGEST SIZE".
blob() {
    cat > "$folder/blob.tmp"
    digest=$(sha256sum "$folder/blob.tmp" | cut -d' ' -f1)
    size=$(wc -c < "$folder/blob.tmp" | tr -d ' ')
    mv "$folder/blob.tmp" "$folder/blobs/sha256/$digest"
    echo "$digest $size"
}

layer=$(blob < "$wasm")
config=$(printf '{}' | blob)
describe() {
    printf '{"mediaType":"%s","digest":"sha256:%s","size":%s}' "$1" "${2% *}" "${2#* }"
}
manifest=$(printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
    "$(describe application/vnd.wasm.config.v0+json "$config")" \
    "$(describe application/wasm "$layer")" | blob)
printf '{"imageLayoutVersion":"1.0.0"}' > "$folder/oci-layout"
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"%s"}}]}' \
    "${manifest% *}" "${manifest#* }" "$version" > "$folder/index.json"
echo "sha256:${manifest% *}"
