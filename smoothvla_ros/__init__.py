"""Fine-tune vision-language-action policies until they succeed and move smoothly, over ROS 2."""

from pkgutil import extend_path

__version__ = '0.1.0'

# The generated messages are installed elsewhere than the sources when running from a checkout.
__path__ = extend_path(__path__, __name__)
