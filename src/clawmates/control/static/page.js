// What every page does a little better with a script: it says when there is no connection, and a form is sent once.

const offline = document.getElementById("offline");
const tell = () => { offline.hidden = navigator.onLine; };
addEventListener("offline", tell);
addEventListener("online", tell);
tell();

// A page that comes back from the browser's memory must not stay busy.
const busy = (form, yes) => {
  form.toggleAttribute("data-sent", yes);
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", String(yes));
};
addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  if (event.target.hasAttribute("data-sent")) event.preventDefault();
  else busy(event.target, true);
});
addEventListener("pageshow", () => { for (const form of document.querySelectorAll("form[data-sent]")) busy(form, false); });
