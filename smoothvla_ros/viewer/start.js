// Starts Rerun's viewer in the page's canvas with everything off that asks another machine.
const canvas = document.getElementById('viewer');
const message = document.getElementById('message');

function failed(error) {
  canvas.remove();
  message.textContent = `The viewer did not start: ${error}. Reload with ?renderer=webgl, or use another browser.`;
}

wasm_bindgen({ module_or_path: 're_viewer_bg.wasm' })
  .then(() => {
    window.viewer = new wasm_bindgen.WebHandle({
      url: [canvas.dataset.source],
      render_backend: new URLSearchParams(location.search).get('renderer'),
      hide_welcome_screen: true,
      check_for_updates_on_startup: false,
      enable_history: false,
      persist: false,
      theme: 'dark',
      memory_limit: canvas.dataset.memory,
    });
    return window.viewer.start(canvas);
  })
  .then(() => message.remove())
  .catch(failed);
