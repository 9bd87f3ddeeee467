// Fills forms marked data-passkey="create" or data-passkey="get" with what the authenticator answers.
(() => {
  if (!window.PublicKeyCredential) return;
  const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const toText = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const listOf = (list) => (list || []).map((item) => ({ ...item, id: toBytes(item.id) }));

  const options = async (path, body) => {
    const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const json = await answer.json();
    if (!answer.ok) throw new Error((json.errors && json.errors[0] && json.errors[0].detail) || json.detail);
    return json.public_key;
  };

  const create = async (form) => {
    const asked = await options("/api/v1/account/passkeys/options", { current_password: form.elements.current_password.value });
    const made = await navigator.credentials.create({ publicKey: {
      ...asked,
      challenge: toBytes(asked.challenge),
      user: { ...asked.user, id: toBytes(asked.user.id) },
      excludeCredentials: listOf(asked.excludeCredentials),
    } });
    return { id: made.id, type: made.type, response: {
      clientDataJSON: toText(made.response.clientDataJSON),
      attestationObject: toText(made.response.attestationObject),
    } };
  };

  const get = async () => {
    const asked = await options("/api/v1/sessions/passkey-options", {});
    const given = await navigator.credentials.get({ publicKey: {
      ...asked,
      challenge: toBytes(asked.challenge),
      allowCredentials: listOf(asked.allowCredentials),
    } });
    return { id: given.id, type: given.type, response: {
      clientDataJSON: toText(given.response.clientDataJSON),
      authenticatorData: toText(given.response.authenticatorData),
      signature: toText(given.response.signature),
      userHandle: given.response.userHandle ? toText(given.response.userHandle) : null,
    } };
  };

  const said = (error, texts) => ({
    NotAllowedError: texts.sayUnconfirmed,
    InvalidStateError: texts.sayKnown,
  })[error.name] || error.message;

  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    const problem = form.querySelector("[data-passkey-problem]");
    form.querySelector("button[type=submit]").hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      problem.hidden = true;
      try {
        const credential = await (form.dataset.passkey === "create" ? create(form) : get());
        form.elements.credential.value = JSON.stringify(credential);
        form.submit();
      } catch (error) {
        problem.textContent = said(error, problem.dataset);
        problem.hidden = false;
      }
    });
  });
})();
