// The code of a link stands behind the "#", which no browser sends. It goes into the form, and out of the address.

const take = () => {
  const code = location.hash.slice(1);
  if (!code) return;
  document.querySelector("input[name=code]").value = code;
  history.replaceState(null, "", location.pathname);
};
// A link opened in the tab that waits for it is the same page to a browser: nothing is loaded again.
addEventListener("hashchange", take);
take();
