// The code of a link stands behind the "#", which no browser sends. It goes into the form, and out of the address.

const code = location.hash.slice(1);
if (code) {
  document.querySelector("input[name=code]").value = code;
  history.replaceState(null, "", location.pathname);
}
