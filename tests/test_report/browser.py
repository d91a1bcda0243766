# Copyright (c) mmseg_ctt contributors.
"""A headless Chromium, driven over a pipe by the DevTools protocol; standard library only."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
FLAGS = (
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--no-first-run',
    '--disable-extensions',
    '--disable-background-networking',
    '--hide-scrollbars',
    '--remote-debugging-pipe',
    'about:blank',
)
TIMEOUT = 90  # seconds for any answer; a loaded machine starts a browser slowly
OWN = ('file:', 'data:', 'blob:')


def find_chromium() -> Optional[str]:
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page, and what went wrong in it."""

    def __init__(self, profile: Path) -> None:
        self.number, self.events = 0, []
        to_read, self.write_end = os.pipe()
        self.read_end, to_write = os.pipe()
        # the browser reads from descriptor 3 and writes to 4
        command = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        self.process = subprocess.Popen(
            ['bash', '-c', command, find_chromium(), *FLAGS, f'--user-data-dir={profile}'],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self.rest, self.session = b'', None
        os.set_blocking(self.read_end, False)
        targets = self.call('Target.getTargets')['targetInfos']
        page = next(one['targetId'] for one in targets if one['type'] == 'page')
        self.session = self.call('Target.attachToTarget', targetId=page, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(f'{domain}.enable')

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        os.close(self.write_end)
        os.close(self.read_end)

    def call(self, method: str, **params: Any) -> Dict[str, Any]:
        """Send a command and wait for its result; events that arrive meanwhile are kept."""
        self.number += 1
        message = dict(id=self.number, method=method, params=params)
        if self.session:
            message['sessionId'] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._next()
            if answer.get('id') == self.number:
                assert 'result' in answer, answer
                return answer['result']
            self.events.append(answer)

    def _next(self) -> Dict[str, Any]:
        end = time.monotonic() + TIMEOUT
        while b'\0' not in self.rest:
            assert time.monotonic() < end, 'the browser does not answer'
            try:
                self.rest += os.read(self.read_end, 1 << 20)
            except BlockingIOError:
                time.sleep(0.01)
        one, _, self.rest = self.rest.partition(b'\0')
        return json.loads(one)

    def open(self, path: Path, width: int) -> None:
        """Show a file in a window of this width, and wait until it is drawn."""
        self.events.clear()
        self.call(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call('Page.navigate', url=path.resolve().as_uri())
        while not any(one.get('method') == 'Page.loadEventFired' for one in self.events):
            self.events.append(self._next())
        self.value('new Promise(done => requestAnimationFrame(() => setTimeout(done, 300)))')

    def value(self, expression: str) -> Any:
        """Value of an expression in the page."""
        made = self.call(
            'Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True
        )
        assert 'exceptionDetails' not in made, made
        return made['result'].get('value')

    def problems(self) -> List[str]:
        """Errors and warnings in the console, and addresses that the page asked for."""
        found = []
        for one in self.events:
            method, params = one.get('method'), one.get('params', {})
            if method == 'Runtime.exceptionThrown':
                found.append(json.dumps(params['exceptionDetails']))
            if method == 'Runtime.consoleAPICalled' and params['type'] in ('error', 'warning'):
                found.append(json.dumps(params['args']))
            if method == 'Log.entryAdded' and params['entry']['level'] in ('error', 'warning'):
                found.append(params['entry']['text'])
            if method == 'Network.requestWillBeSent' and not params['request']['url'].startswith(
                OWN
            ):
                found.append(f'asks for {params["request"]["url"]}')
        return found

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        size = self.call('Page.getLayoutMetrics')['cssContentSize']
        made = self.call(
            'Page.captureScreenshot',
            captureBeyondViewport=True,
            clip=dict(x=0, y=0, width=size['width'], height=size['height'], scale=1),
        )
        path.write_bytes(base64.b64decode(made['data']))
