"""Every flow of the authorization server, by an independent client library (Authlib).

    python3 independent_client.py PORTAL DEMO_JSON

Needs the packages `authlib` and `requests`, and a running portal with the demo programme. Prints one line
a flow; ends with an error at the first that does not work.
"""

import json
import secrets
import sys
from urllib.parse import parse_qs, urlparse

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

REDIRECT = "http://127.0.0.1:9/callback"


def main(portal, demo_file):
    with open(demo_file, encoding="utf-8") as file:
        demo = json.load(file)
    app = f"/api/v1/apps/{demo['app_id']}"

    def api(method, path, token, body=None):
        answer = requests.request(
            method, portal + path, json=body, headers={"authorization": f"Bearer {token}"}, timeout=20
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text else None

    owner = requests.post(f"{portal}/api/v1/sessions", json=demo["partner"], timeout=20).json()["session_token"]
    draft = {
        "name": "Order sync",
        "redirect_uris": [REDIRECT],
        "scopes": [{"scope": "orders:read", "reason": "To copy orders"}, {"scope": "orders:write"}],
        "form": [{"name": "region", "label": "Region", "kind": "choice", "choices": ["eu", "us"], "required": True}],
    }
    if api("GET", f"{app}/listing", owner)["live_submission_id"] is None:
        api("PATCH", f"{app}/listing", owner, {"visibility": "private", "draft": draft})
    issued = api("POST", f"{app}/oauth-clients", owner, {"environment": "test"})
    client_id, secret = issued["client"]["client_id"], issued["client_secret"]
    metadata = requests.get(f"{portal}/.well-known/oauth-authorization-server", timeout=20).json()
    assert metadata["issuer"] == portal, metadata["issuer"]
    keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=20).json())

    def session(method="client_secret_basic", **more):
        return OAuth2Session(
            client_id, secret, scope="orders:read", redirect_uri=REDIRECT,
            code_challenge_method="S256", token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method, **more,
        )

    def consent(client, decision="install"):
        """What the customer's browser does; answers the address it is sent to."""
        verifier = generate_token(64)
        url, state = client.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
        shown = requests.get(url, headers={"authorization": f"Bearer {owner}"}, timeout=20)
        assert shown.ok and "See orders" in shown.text, shown.text
        fields = {name: values[0] for name, values in parse_qs(urlparse(url).query).items()}
        fields |= {"decision": decision, "config.region": "eu"}
        answer = requests.post(
            metadata["authorization_endpoint"], data=fields, allow_redirects=False, timeout=20,
            headers={"authorization": f"Bearer {owner}"},
        )
        assert answer.status_code == 303, answer.text
        return answer.headers["location"], state, verifier

    def fetch(client):
        location, state, verifier = consent(client)
        assert parse_qs(urlparse(location).query)["iss"] == [portal]
        return client.fetch_token(
            metadata["token_endpoint"], authorization_response=location, state=state, code_verifier=verifier
        )

    for method in ("client_secret_basic", "client_secret_post"):
        client = session(method)
        token = fetch(client)
        claims = jwt.decode(token["access_token"], keys).claims
        assert claims["iss"] == portal
        assert claims["client_id"] == client_id and claims["installation"] == token["installation_id"]
        print(f"ok authorization code with PKCE, {method}")
        renewed = client.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])
        assert renewed["refresh_token"] != token["refresh_token"]
        print(f"ok refresh, {method}")
        active = client.introspect_token(metadata["introspection_endpoint"], token=renewed["refresh_token"])
        assert active.json()["active"] is True
        client.revoke_token(metadata["revocation_endpoint"], token=renewed["refresh_token"])
        active = client.introspect_token(metadata["introspection_endpoint"], token=renewed["refresh_token"])
        assert active.json()["active"] is False
        print(f"ok introspection and revocation, {method}")

    client = session()
    token = client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials", scope="orders:read")
    assert jwt.decode(token["access_token"], keys).claims["sub"] == client_id
    print("ok client credentials")

    key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(4)})
    body = {"environment": "test", "authentication": "private_key_jwt", "keys": {"keys": [key.as_dict(private=False)]}}
    signer = api("POST", f"{app}/oauth-clients", owner, body)["client"]["client_id"]
    client = OAuth2Session(signer, key, token_endpoint_auth_method="private_key_jwt", scope="orders:read")
    client.register_client_auth_method(PrivateKeyJWT(metadata["token_endpoint"], alg="ES256"))
    client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials", scope="orders:read")
    print("ok private_key_jwt")

    def refused(work, code):
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the library has a class of its own for each
            assert code in str(error), f"{code} was expected: {error!r}"
            print(f"ok refused: {code}")
            return
        raise AssertionError(f"{code} was expected, and it worked")

    client = session()
    location, state, verifier = consent(client)
    arguments = {"authorization_response": location, "state": state, "code_verifier": verifier}
    token = client.fetch_token(metadata["token_endpoint"], **arguments)
    refused(lambda: client.fetch_token(metadata["token_endpoint"], **arguments), "invalid_grant")
    refused(lambda: client.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"]), "invalid_grant")
    client = session()
    location, state, _ = consent(client)
    refused(
        lambda: client.fetch_token(
            metadata["token_endpoint"], authorization_response=location, state=state, code_verifier=generate_token(64)
        ),
        "invalid_grant",
    )
    client = session()
    token = fetch(client)
    client.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])
    refused(lambda: client.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"]), "invalid_grant")
    location, _, _ = consent(session(), decision="decline")
    assert parse_qs(urlparse(location).query)["error"] == ["access_denied"]
    print("ok refused: access_denied")
    print("done")


main(sys.argv[1], sys.argv[2])
